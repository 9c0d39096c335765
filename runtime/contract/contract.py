"""The contract, version 1: what a Tombola `.onnx` file takes, gives and says about itself.

Export writes through `Contract.to_metadata`, the runtime reads through `Contract.from_metadata`, and both
hold the graph to `check_graph`; neither knows a metadata key from anywhere else.
"""

import base64
import binascii
import json
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tombola.errors import ModelError
from tombola.runtime.pictures.shrink import Shrink
from tombola.runtime.tasks.difference import Arrays
from tombola.runtime.tasks.signature import Signature, TensorSpec, check_tensors, option_array, to_array
from tombola.runtime.tasks.table import TASKS

CONTRACT_VERSION = 1
MAX_CARD_DEPTH = 32
# What a file may say that it takes and gives beyond what all of its task do.
MORE = ("more_inputs", "more_outputs")
MOST_SIDE = 1_000_000
MOST_FRAMES = 4096
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Probe:
    """A question and the answer that the file gave to it when it was exported.

    png:      for a task that takes a picture, this as PNG-encoded 8-bit RGB, so that every reader sees the
              same pixels; else empty.
    expected: output name -> nested lists, as `TASKS[task].check_answer` wants them.
    inputs:   the other inputs: name -> a number or nested lists; one that is left out is at its default.
    """

    png: bytes
    expected: Mapping[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def feeds(self, signature: Signature) -> Arrays:
        """`inputs` as arrays; ModelError where they, with the picture, are not those of the signature."""
        required = {spec.name: spec for spec in signature.inputs}
        if self.png:
            if required.pop("image", None) is None:
                raise ModelError("it has a picture, but its task takes none.")
            if not self.png.startswith(PNG_SIGNATURE):
                raise ModelError("its picture is not a PNG.")
        missing = [name for name in required if name not in self.inputs]
        if missing:
            raise ModelError(f"it must have the inputs {', '.join(missing)}.")
        return {
            name: to_array(required[name], value)
            if name in required
            else option_array(signature.option(name), value)
            for name, value in self.inputs.items()
        }

    def answer(self, signature: Signature) -> Arrays:
        """`expected` as arrays; ModelError where they are not what the signature gives."""
        names = sorted(spec.name for spec in signature.outputs)
        if sorted(self.expected) != names:
            raise ModelError(f"expected answers must be lists named {', '.join(names)}.")
        return {spec.name: to_array(spec, self.expected[spec.name]) for spec in signature.outputs}


@dataclass(frozen=True)
class Contract:
    """What a file says about itself. A constructed Contract is valid; ModelError names the key that is not.

    task:     a key of TASKS.
    labels:   class names, index = the value in the output `labels` of detect, the place in the output
              `probabilities` of classify; empty where a task has none.
    defaults: one value for each optional input of the task, equal to its initializer.
    card:     JSON-ready facts (licence, data, metrics, parity, lineage). Keys with a meaning here:
              `input_size_hw` [height, width] of the network's picture, repeated as the plain key `imgsz`;
              `input_sides` "longer" or "both": the graph halves a picture while its longer side, or both,
              are at least twice `input_size_hw`, so whoever feeds it may do that before (see `Shrink`);
              `input_fit` "crop" or "stretch": whether the network sees the part in the middle that has the
              shape of its picture, or all;
              `input_frames` how many frames of a clip the network looks at, where it looks at clips;
              `probe_tolerance` >= 1 widens what `verify` allows, for files whose answers differ a little
              between processors (int8).
    probes:   questions and expected answers for `tombola verify`.
    vocabulary: the words that tokens stand for, index = token; empty where a task has none.
    more_inputs: which of its signature's `more_inputs` the file must be fed; more_outputs: which of its
    `more_outputs` it answers.
    sides:    the file's number for each of its signature's `sides`.
    """

    task: str
    labels: tuple[str, ...]
    defaults: Mapping[str, float | int]
    card: Mapping[str, Any] = field(default_factory=dict)
    probes: tuple[Probe, ...] = ()
    version: int = CONTRACT_VERSION
    vocabulary: tuple[str, ...] = ()
    more_inputs: tuple[str, ...] = ()
    more_outputs: tuple[str, ...] = ()
    sides: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.version != CONTRACT_VERSION:
            raise ModelError(
                f"tombola.contract: version {self.version} is not one this Tombola reads "
                f"({CONTRACT_VERSION}); update Tombola, or export the model again with this version."
            )
        if self.task not in TASKS:
            raise ModelError(
                f"tombola.task: {self.task!r} is not a task this version runs ({', '.join(TASKS)})."
            )
        _check_sides(TASKS[self.task].signature, self.sides)
        signature = self.signature
        for key in MORE:
            known = [spec.name for spec in getattr(signature, key)]
            if unknown := [name for name in getattr(self, key) if name not in known]:
                raise ModelError(f"tombola.{key}: {unknown[0]!r} is not one of {', '.join(known) or 'none'}.")
        for key, names in (("labels", self.labels), ("vocabulary", self.vocabulary)):
            _check_names(f"tombola.{key}", names, getattr(signature, key))
        _check_defaults(signature, self.defaults)
        _check_card(self.card)
        for index, probe in enumerate(self.probes):
            try:
                probe.feeds(signature)
                TASKS[self.task].check_answer(probe.answer(signature), len(self.labels))
            except ModelError as error:
                raise ModelError(f"tombola.probes[{index}]: {error}") from error

    @property
    def signature(self) -> Signature:
        """The tensors that the file's task asks for."""
        signature = TASKS[self.task].signature
        return signature.with_more(self.more_inputs, self.more_outputs).with_sides(self.sides)

    def example_feeds(self, size_hw: tuple[int, int]) -> Arrays:
        """Every input that must be fed, with plausible values; of tasks with a picture one of that size."""
        feeds = TASKS[self.task].example_feeds(size_hw, self.signature)
        return {spec.name: feeds[spec.name] for spec in self.signature.inputs}

    @property
    def shrink(self) -> Shrink | None:
        """How a picture may be halved before the graph gets it; None where the card does not say so."""
        if "input_sides" not in self.card:
            return None
        height, width = self.card["input_size_hw"]
        return Shrink((height, width), self.card["input_sides"])

    def to_metadata(self) -> dict[str, str]:
        """Key -> text for the file's `metadata_props`: our keys, and the plain ones that other tools read."""
        # The plain keys are written as Ultralytics writes them: Python literals.
        plain = {"names": repr(dict(enumerate(self.labels)))} if self.labels else {}
        plain["task"] = self.task
        if "input_size_hw" in self.card:
            plain["imgsz"] = repr(list(self.card["input_size_hw"]))
        named = {key: getattr(self, key) for key in ("labels", "vocabulary", *MORE)}
        return {
            **plain,
            "tombola.task": self.task,
            **{f"tombola.{key}": _to_json(list(names)) for key, names in named.items() if names},
            **({"tombola.sides": _to_json(dict(self.sides))} if self.sides else {}),
            "tombola.defaults": _to_json(dict(self.defaults)),
            "tombola.card": _to_json(dict(self.card)),
            "tombola.probes": _to_json([_probe_to_json(probe) for probe in self.probes]),
            "tombola.contract": str(self.version),  # last, so that a cut-off file is without it
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "Contract":
        """Read what `to_metadata` wrote. Unknown keys are ignored; a missing or wrong one is a ModelError."""
        if "tombola.contract" not in metadata:
            raise ModelError(
                "no tombola.contract in its metadata, so this is not a Tombola model; "
                "make one with `tombola export`, or run the file with the tool that wrote it."
            )
        text = metadata["tombola.contract"]
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise ModelError(f"tombola.contract: {text[:40]!r} is not a version number.")
        version = int(text)
        if version != CONTRACT_VERSION:  # before the rest: another version may have other keys
            return cls("", (), {}, version=version)
        task = _text(metadata, "tombola.task")
        signature = TASKS[task].signature if task in TASKS else None
        labels, vocabulary = (
            _from_json(metadata, key, list) if key in metadata or need == "required" else []
            for key, need in (
                ("tombola.labels", signature.labels if signature else "absent"),
                ("tombola.vocabulary", signature.vocabulary if signature else "absent"),
            )
        )
        return cls(
            task=task,
            labels=tuple(labels),
            vocabulary=tuple(vocabulary),
            **{
                key: tuple(_from_json(metadata, f"tombola.{key}", list))
                for key in MORE
                if f"tombola.{key}" in metadata
            },
            sides=_from_json(metadata, "tombola.sides", dict) if "tombola.sides" in metadata else {},
            defaults=_from_json(metadata, "tombola.defaults", dict),
            card=_from_json(metadata, "tombola.card", dict),
            probes=tuple(
                _probe_from_json(value, f"tombola.probes[{index}]")
                for index, value in enumerate(_from_json(metadata, "tombola.probes", list))
            ),
            version=version,
        )


def check_graph(
    task: str,
    inputs: Sequence[TensorSpec],
    optional_inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    signature: Signature | None = None,
) -> None:
    """Hold a graph's tensors to what `task` asks for, in a file of this signature, the task's own without;
    ModelError names the tensor that differs."""
    check_tensors(task, signature or TASKS[task].signature, inputs, optional_inputs, outputs)


def _check_sides(signature: Signature, sides: Mapping[str, int]) -> None:
    if set(sides) != set(signature.sides):
        wanted = ", ".join(signature.sides) or "nothing"
        raise ModelError(f"tombola.sides: must name {wanted}, but names {', '.join(sides) or 'none'}.")
    for name, side in sides.items():
        if isinstance(side, bool) or not isinstance(side, int) or not 1 <= side <= MOST_SIDE:
            raise ModelError(
                f"tombola.sides: {name} must be a whole number from 1 to {MOST_SIDE:,}, but is {side!r}."
            )


def _check_names(key: str, names: tuple[str, ...], need: str) -> None:
    if need == "absent" and names:
        raise ModelError(f"{key}: a file of this task has none.")
    if (need == "required" and not names) or not all(isinstance(one, str) and one.strip() for one in names):
        raise ModelError(f"{key}: must be a list of one or more names, none of them empty.")
    if len(set(names)) != len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ModelError(f"{key}: {twice!r} is there twice; names must differ.")


def _check_defaults(signature: Signature, defaults: Mapping[str, float | int]) -> None:
    specs = {spec.name: spec for spec in signature.optional_inputs}
    if set(defaults) != set(specs):
        wanted = ", ".join(specs) or "nothing"
        raise ModelError(f"tombola.defaults: must name {wanted}, but names {', '.join(defaults) or 'none'}.")
    for name, value in defaults.items():
        option_array(specs[name], value)


def _check_card(card: Mapping[str, Any]) -> None:
    if _is_deeper(card, MAX_CARD_DEPTH):
        raise ModelError(f"tombola.card: is nested more than {MAX_CARD_DEPTH} deep.")
    size_hw = card.get("input_size_hw", [1, 1])
    if not (
        isinstance(size_hw, list | tuple)
        and len(size_hw) == 2
        and all(isinstance(side, int) and side >= 1 for side in size_hw)
    ):
        raise ModelError(f"tombola.card: input_size_hw must be [height, width], but is {size_hw!r}.")
    if card.get("input_sides", "both") not in ("longer", "both"):
        raise ModelError(
            f"tombola.card: input_sides must be 'longer' or 'both', but is {card['input_sides']!r}."
        )
    if "input_sides" in card and "input_size_hw" not in card:
        raise ModelError("tombola.card: input_sides needs input_size_hw beside it.")
    if card.get("input_fit", "crop") not in ("crop", "stretch"):
        raise ModelError(
            f"tombola.card: input_fit must be 'crop' or 'stretch', but is {card['input_fit']!r}."
        )
    frames = card.get("input_frames", 1)
    if not isinstance(frames, int) or isinstance(frames, bool) or not 1 <= frames <= MOST_FRAMES:
        raise ModelError(
            f"tombola.card: input_frames must be a whole number from 1 to {MOST_FRAMES:,}, but is {frames!r}."
        )
    tolerance = card.get("probe_tolerance", 1)
    if not _is_finite(tolerance) or tolerance < 1:
        raise ModelError(
            f"tombola.card: probe_tolerance must be a number of 1 or more, but is {tolerance!r}."
        )


def _is_deeper(value: object, depth: int) -> bool:
    """Whether lists and objects stand more than `depth` deep in each other, asked level by level."""
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for one in level
            for inner in (
                one.values() if isinstance(one, Mapping) else one if isinstance(one, list | tuple) else ()
            )
        ]
    return any(isinstance(one, Mapping | list | tuple) for one in level)


def _is_finite(value: object) -> bool:
    # Not math.isfinite: JSON holds whole numbers of any length, and it cannot take those.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _to_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ModelError(f"the contract holds a value that JSON cannot: {error}.") from error


def _text(metadata: Mapping[str, str], key: str) -> str:
    if key not in metadata:
        raise ModelError(f"{key}: is missing from the file's metadata; export the model again.")
    return metadata[key]


def _from_json(metadata: Mapping[str, str], key: str, kind: type) -> Any:
    text = _text(metadata, key)
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{key}: is not valid JSON ({error}); export the model again.") from error
    if not isinstance(value, kind):
        raise ModelError(
            f"{key}: must be a JSON {'list' if kind is list else 'object'}, but is {text[:40]!r}."
        )
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def _probe_to_json(probe: Probe) -> dict[str, Any]:
    parts: dict[str, Any] = {"png": base64.b64encode(probe.png).decode("ascii")} if probe.png else {}
    if probe.inputs:
        parts["inputs"] = dict(probe.inputs)
    return {**parts, "expected": dict(probe.expected)}


def _probe_from_json(value: object, where: str) -> Probe:
    if not isinstance(value, dict) or not {"expected"} < set(value) <= {"png", "inputs", "expected"}:
        raise ModelError(f"{where}: must be an object with `expected`, and `png` or `inputs` or both.")
    png, inputs, expected = value.get("png", ""), value.get("inputs", {}), value["expected"]
    if not isinstance(png, str) or not isinstance(inputs, dict) or not isinstance(expected, dict):
        raise ModelError(f"{where}: `png` must be text, `inputs` and `expected` objects.")
    try:
        decoded = base64.b64decode(png, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ModelError(f"{where}: its picture is not base64 ({error}).") from error
    return Probe(decoded, expected, inputs)
