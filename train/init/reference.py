"""Every key of a task's recipe, as TOML with the defaults: made from the settings themselves."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tomli_w
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from tombola.errors import RecipeError
from tombola.train.tasks.table import TASKS

_NEEDED = object()
_WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}
_MANY = {"whole number": "whole numbers", "number": "numbers", "text": "texts", "list": "lists"}
COLUMN = 44  # where the remarks begin


def reference(task: str) -> str:
    """The text for a task: a table's meaning as a comment above it, each key with default, kind and range;
    what is needed has no default and is commented out. RecipeError for a task that is not known."""
    if task not in TASKS:
        raise RecipeError(f"task {task!r} is not known; choose {' or '.join(TASKS)}")
    return "\n".join(_table(TASKS[task].recipe, "", "", {})) + "\n"


def key_paths(task: str) -> list[str]:
    """Every key of a task's recipe that has one place, with those of its tables: "training.epochs", …"""
    return list(dict.fromkeys(_paths(TASKS[task].recipe, "")))


def _paths(settings: type, place: str) -> Iterator[str]:
    for name, kind, *_ in keys_of(settings):
        inner = tables_in(kind)
        if not inner:
            yield f"{place}{name}"
        elif get_origin(_bare(kind)) is not tuple:  # of many tables --set can name none
            for one in inner:
                yield from _paths(one, f"{place}{name}.")


def keys_of(settings: type) -> list[tuple[str, Any, Any, Sequence[Any]]]:
    """Return (key, type, default, constraints) of a table's settings, a pydantic model or a dataclass."""
    if issubclass(settings, BaseModel):
        return [
            (name, one.annotation, _default(one.get_default(call_default_factory=True)), one.metadata)
            for name, one in settings.model_fields.items()
        ]
    assert is_dataclass(settings)
    hints = get_type_hints(settings, include_extras=True)
    return [
        (one.name, hints[one.name], _NEEDED if one.default is MISSING else one.default, ())
        for one in fields(settings)
    ]


def _default(value: Any) -> Any:
    return _NEEDED if value is PydanticUndefined else value


def _table(settings: type, place: str, header: str, explained: dict[type, str]) -> Iterator[str]:
    """The lines of one table and of those in it; each kind of table is explained once."""
    if settings in explained:
        yield f"{header:<{COLUMN}} # has the keys of {explained[settings]}"
        return
    explained[settings] = header
    yield from (f"# {line}".rstrip() for line in (inspect.getdoc(settings) or "").splitlines())
    if header:
        yield header
    keys = keys_of(settings)
    for name, kind, default, constraints in keys:
        if name == "kind":  # of several tables in one place
            explained[settings] = (
                f"{header} with {_line(name, kind, default, constraints).partition(' #')[0].rstrip()}"
            )
        if not tables_in(kind):
            yield _line(name, kind, default, constraints)
    for name, kind, default, _ in keys:
        inner = tables_in(kind)
        path = f"{place}.{name}".lstrip(".")
        for one in inner:
            yield ""
            if len(inner) > 1:
                yield f"# One of {len(inner)} kinds of {path}."
            elif default is _NEEDED:
                yield f"# {path} is needed."
            header = f"[[{path}]]" if get_origin(_bare(kind)) is tuple else f"[{path}]"
            yield from _table(one, path, header, explained)


def _line(name: str, kind: Any, default: Any, constraints: Sequence[Any]) -> str:
    told = _kind(kind) + _range(constraints)
    if default is _NEEDED or default is None:
        choices = get_args(_bare(kind)) if get_origin(_bare(kind)) is Literal else ()
        if len(choices) == 1:
            return f"{name} = {_toml(choices[0])}"
        return f"{f'# {name} =':<{COLUMN}} # {told}; {'needed' if default is _NEEDED else 'none by default'}"
    return f"{f'{name} = {_toml(default)}':<{COLUMN}} # {told}"


def _toml(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    return tomli_w.dumps({"": str(value) if isinstance(value, Path) else value}).partition(" = ")[2].strip()


def _bare(kind: Any) -> Any:
    """The type without its constraints and without None."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        rest = [one for one in get_args(kind) if one is not NoneType]
        if len(rest) == 1:
            return _bare(rest[0])
    return kind


def tables_in(kind: Any) -> list[type]:
    """The settings that a key of this type holds: none for a value, several where there is a choice."""
    kind = _bare(kind)
    if isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind)):
        return [kind]
    if get_origin(kind) in (Union, UnionType, tuple):
        return [one for part in get_args(kind) if part is not Ellipsis for one in tables_in(part)]
    return []


def _kind(kind: Any) -> str:
    constraints = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    bare = _bare(kind)
    if get_origin(bare) is Literal:
        *first, last = map(_toml, get_args(bare))
        return f"{', '.join(first)} or {last}" if first else last
    if get_origin(bare) is tuple:
        parts = [one for one in get_args(bare) if one is not Ellipsis]
        count = "" if Ellipsis in get_args(bare) else f"{len(parts)} "
        one = _kind(parts[0])
        for single, many in _MANY.items():
            if one.startswith(single):
                return f"list of {count}{many}{one.removeprefix(single)}"
        return f"list of {count}{one}"
    return _WORDS[bare] + _range(constraints)


def _range(constraints: Sequence[Any]) -> str:
    """What the constraints of a number say, with a space before it."""
    words = {"ge": " from {}", "gt": " above {}", "le": " to {}", "lt": " below {}"}
    bounds = ((key, getattr(one, key, None)) for key in words for one in constraints)
    return "".join(words[key].format(bound) for key, bound in bounds if bound is not None)
