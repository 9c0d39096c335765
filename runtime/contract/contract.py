"""The contract, version 1: what a Tombola `.onnx` file takes, gives and says about itself.

Export writes through `Contract.to_metadata`, the runtime reads through `Contract.from_metadata`, and both
hold the graph to `check_graph`; neither knows a metadata key or a tensor name from anywhere else.
"""

import base64
import binascii
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tombola.errors import ModelError
from tombola.runtime.contract.signature import SIGNATURES, Signature, TensorSpec, check_graph, check_option

__all__ = [
    "CONTRACT_VERSION",
    "SIGNATURES",
    "Contract",
    "Probe",
    "Signature",
    "TensorSpec",
    "check_graph",
    "check_option",
]

CONTRACT_VERSION = 1
MAX_CARD_DEPTH = 32
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SUM_TOLERANCE = 1e-2  # probabilities of many classes, each rounded, miss 1 by a little


@dataclass(frozen=True)
class Probe:
    """A small picture and the answer the file gave for it when it was exported, at the default thresholds.

    png:      the picture, PNG-encoded 8-bit RGB, so that every reader sees the same pixels.
    expected: output name -> nested lists; for detect `boxes` [n][4] in picture pixels, `scores` [n],
              `labels` [n]; for classify `probabilities` [classes], which add up to 1.
    """

    png: bytes
    expected: Mapping[str, list[Any]]


@dataclass(frozen=True)
class Contract:
    """What a file says about itself. A constructed Contract is valid; ModelError names the key that is not.

    task:     a key of SIGNATURES.
    labels:   class names, index = the value in the output `labels` of detect, the place in the output
              `probabilities` of classify.
    defaults: one value for each optional input of the task, equal to its initializer.
    card:     JSON-ready facts (licence, data, metrics, parity, lineage). Keys with a meaning here:
              `input_size_hw` [height, width] of the network's picture, repeated as the plain key `imgsz`;
              `probe_tolerance` >= 1 widens what `verify` allows, for files whose answers differ a little
              between processors (int8).
    probes:   pictures and expected answers for `tombola verify`.
    """

    task: str
    labels: tuple[str, ...]
    defaults: Mapping[str, float | int]
    card: Mapping[str, Any] = field(default_factory=dict)
    probes: tuple[Probe, ...] = ()
    version: int = CONTRACT_VERSION

    def __post_init__(self) -> None:
        if self.version != CONTRACT_VERSION:
            raise ModelError(
                f"tombola.contract: version {self.version} is not one this Tombola reads "
                f"({CONTRACT_VERSION}); update Tombola, or export the model again with this version."
            )
        if self.task not in SIGNATURES:
            raise ModelError(
                f"tombola.task: {self.task!r} is not a task this version runs ({', '.join(SIGNATURES)})."
            )
        _check_labels(self.labels)
        _check_defaults(self.task, self.defaults)
        _check_card(self.card)
        for index, probe in enumerate(self.probes):
            _check_probe(self, probe, f"tombola.probes[{index}]")

    def to_metadata(self) -> dict[str, str]:
        """Key -> text for the file's `metadata_props`: our keys, and the plain ones that other tools read."""
        probes = [
            {"png": base64.b64encode(probe.png).decode("ascii"), "expected": dict(probe.expected)}
            for probe in self.probes
        ]
        # The plain keys are written as Ultralytics writes them: Python literals.
        plain = {"names": repr(dict(enumerate(self.labels))), "task": self.task}
        if "input_size_hw" in self.card:
            plain["imgsz"] = repr(list(self.card["input_size_hw"]))
        return {
            **plain,
            "tombola.task": self.task,
            "tombola.labels": _to_json(list(self.labels)),
            "tombola.defaults": _to_json(dict(self.defaults)),
            "tombola.card": _to_json(dict(self.card)),
            "tombola.probes": _to_json(probes),
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
        labels = _from_json(metadata, "tombola.labels", list)
        return cls(
            task=_text(metadata, "tombola.task"),
            labels=tuple(labels),
            defaults=_from_json(metadata, "tombola.defaults", dict),
            card=_from_json(metadata, "tombola.card", dict),
            probes=tuple(
                _probe_from_json(value, f"tombola.probes[{index}]")
                for index, value in enumerate(_from_json(metadata, "tombola.probes", list))
            ),
            version=version,
        )


def _check_labels(labels: tuple[str, ...]) -> None:
    if not labels or not all(isinstance(name, str) and name.strip() for name in labels):
        raise ModelError("tombola.labels: must be a list of one or more class names, none of them empty.")
    if len(set(labels)) != len(labels):
        twice = next(name for name in labels if labels.count(name) > 1)
        raise ModelError(f"tombola.labels: {twice!r} is there twice; class names must differ.")


def _check_defaults(task: str, defaults: Mapping[str, float | int]) -> None:
    specs = {spec.name: spec for spec in SIGNATURES[task].optional_inputs}
    if set(defaults) != set(specs):
        wanted = ", ".join(specs) or "nothing"
        raise ModelError(f"tombola.defaults: must name {wanted}, but names {', '.join(defaults) or 'none'}.")
    for name, value in defaults.items():
        check_option(name, value)


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
    tolerance = card.get("probe_tolerance", 1)
    if not _is_finite(tolerance) or tolerance < 1:
        raise ModelError(
            f"tombola.card: probe_tolerance must be a number of 1 or more, but is {tolerance!r}."
        )


def _check_probe(contract: Contract, probe: Probe, where: str) -> None:
    if not probe.png.startswith(PNG_SIGNATURE):
        raise ModelError(f"{where}: its picture is not a PNG.")
    names = {spec.name for spec in SIGNATURES[contract.task].outputs}
    if set(probe.expected) != names or not all(isinstance(v, list) for v in probe.expected.values()):
        raise ModelError(f"{where}: expected answers must be lists named {', '.join(sorted(names))}.")
    if contract.task == "detect":
        _check_detect_answer(probe.expected, len(contract.labels), where)
    else:
        _check_classify_answer(probe.expected["probabilities"], len(contract.labels), where)


def _check_detect_answer(expected: Mapping[str, list[Any]], classes: int, where: str) -> None:
    boxes, scores, labels = expected["boxes"], expected["scores"], expected["labels"]
    if not len(boxes) == len(scores) == len(labels):
        raise ModelError(
            f"{where}: {len(boxes)} boxes, {len(scores)} scores and {len(labels)} labels do not match."
        )
    if not all(isinstance(box, list) and len(box) == 4 and all(map(_is_finite, box)) for box in boxes):
        raise ModelError(f"{where}: each box must be four finite numbers.")
    if not all(map(_is_finite, scores)):
        raise ModelError(f"{where}: scores must be finite numbers.")
    if not all(isinstance(label, int) and 0 <= label < classes for label in labels):
        raise ModelError(f"{where}: labels must be whole numbers from 0 to {classes - 1}.")


def _check_classify_answer(probabilities: list[Any], classes: int, where: str) -> None:
    if len(probabilities) != classes:
        raise ModelError(f"{where}: {len(probabilities)} probabilities do not match {classes} labels.")
    if not all(_is_finite(value) and 0 <= value <= 1 for value in probabilities):
        raise ModelError(f"{where}: probabilities must be numbers from 0 to 1.")
    if abs(sum(probabilities) - 1) > SUM_TOLERANCE:
        raise ModelError(f"{where}: probabilities must add up to 1, but their sum is {sum(probabilities):g}.")


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


def _probe_from_json(value: object, where: str) -> Probe:
    if not isinstance(value, dict) or set(value) != {"png", "expected"}:
        raise ModelError(f"{where}: must be an object with `png` and `expected`.")
    if not isinstance(value["png"], str) or not isinstance(value["expected"], dict):
        raise ModelError(f"{where}: `png` must be text and `expected` an object.")
    try:
        png = base64.b64decode(value["png"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ModelError(f"{where}: its picture is not base64 ({error}).") from error
    return Probe(png=png, expected=value["expected"])
