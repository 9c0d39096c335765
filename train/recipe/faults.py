"""What is wrong with a recipe, in sentences that name the key as the file has it, the value and the cure."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

# Pydantic speaks of Python; a recipe is TOML.
_TOML_WORDS = (
    ("input should be a valid dictionary or object to extract fields from", "should be a table"),
    ("input should be a valid tuple", "should be a list"),
    ("tuple should have", "should have"),
    (" after validation", ""),
    ("input should", "should"),
)
LONGEST_VALUE = 60


def fault_sentences(error: ValidationError, model: type[BaseModel], table: dict[str, Any]) -> list[str]:
    """One sentence for each fault that `model` finds in `table`."""
    faults = error.errors()
    places = [fault["loc"] for fault in faults]
    return [
        _sentence(fault, model, table)
        for fault in faults
        # A list is also said to be too short when none of its items is valid.
        if not (fault["type"] == "too_short" and any(_lies_in(place, fault["loc"]) for place in places))
    ]


def _sentence(fault: ErrorDetails, model: type[BaseModel], table: dict[str, Any]) -> str:
    path = _path_in_file(fault["loc"], table)
    key = _cut(".".join(map(str, path)))
    context = fault.get("ctx", {})
    match fault["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            *parents, last = [part for part in path if isinstance(part, str)]
            known = [one.split(".") for one in _keys(model)]
            near = get_close_matches(
                last[:LONGEST_VALUE], [one[-1] for one in known if one[:-1] == parents], n=1, cutoff=0.75
            )
            cure = "remove it or check its spelling"
            if near:
                cure = f"did you mean {'.'.join([*parents, near[0]])}?"
            if [*parents, last] in known:
                cure = "other kinds have it, this one has not; remove it"
            return f"{key} is not a known key; {cure}"
        case "union_tag_invalid":
            return f"{key}.kind = {brief(context['tag'])} is not known; choose {context['expected_tags']}"
        case "union_tag_not_found":
            return f"{key}.kind is missing"
        case "missing" if path and isinstance(path[-1], int):
            whole = ".".join(map(str, path[:-1]))
            return f"{whole} = {brief(fault['input'])}: number {path[-1] + 1} is missing"
        case "missing" | "missing_argument":
            return f"{key} is missing"
        case "dataclass_type" | "model_type":
            return f"{key} = {brief(fault['input'])}: should be a table"
        case "value_error":
            reason = str(context.get("error", fault["msg"]))
            return f"{key}: {reason}" if key else reason
    reason = fault["msg"][:1].lower() + fault["msg"][1:]
    for words, plain in _TOML_WORDS:
        reason = reason.replace(words, plain)
    return f"{key} = {brief(fault['input'])}: {reason}"


def _lies_in(place: tuple[int | str, ...], whole: tuple[int | str, ...]) -> bool:
    return len(place) > len(whole) and place[: len(whole)] == whole


def _path_in_file(place: tuple[int | str, ...], table: dict[str, Any]) -> list[int | str]:
    """The place of a fault without the parts that only say which kind of table was meant."""
    path: list[int | str] = []
    here: Any = table
    for number, part in enumerate(place, 1):
        if isinstance(here, dict) and part not in here and (part == here.get("kind") or number < len(place)):
            continue
        path.append(part)
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            here = None
    return path


def _keys(annotation: Any, prefix: str = "") -> Iterator[str]:
    """Every key that a recipe may have, with its tables: "training.epochs"."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield f"{prefix}{name}"
            yield from _keys(field.annotation, f"{prefix}{name}.")
    elif isinstance(annotation, type) and is_dataclass(annotation):
        yield from (f"{prefix}{field.name}" for field in fields(annotation))
    for part in get_args(annotation):
        yield from _keys(part, prefix)


def brief(value: Any) -> str:
    """The value as Python writes it, cut to what a sentence holds."""
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
