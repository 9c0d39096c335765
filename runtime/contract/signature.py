"""What each task's graph takes and gives: names, dtypes and shapes of contract version 1."""

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tombola.errors import ModelError


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype (numpy's name) and shape of one graph input or output.

    A dimension is an int, or a name where it varies; `shape` is None where a file does not state it.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        dims = "any shape" if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        return f"{self.name} {self.dtype} {dims}"


@dataclass(frozen=True)
class Signature:
    """The tensors of one task. Optional inputs are graph inputs with an initializer of the same name."""

    inputs: tuple[TensorSpec, ...]
    optional_inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


IMAGE = TensorSpec("image", "uint8", ("height", "width", 3))

SIGNATURES: Mapping[str, Signature] = {
    "detect": Signature(
        inputs=(IMAGE,),
        optional_inputs=(
            TensorSpec("score_threshold", "float32", ()),
            TensorSpec("iou_threshold", "float32", ()),
            TensorSpec("max_detections", "int64", ()),
        ),
        outputs=(
            TensorSpec("boxes", "float32", ("n", 4)),
            TensorSpec("scores", "float32", ("n",)),
            TensorSpec("labels", "int64", ("n",)),
        ),
    ),
    "classify": Signature(
        inputs=(IMAGE,),
        optional_inputs=(),
        outputs=(TensorSpec("probabilities", "float32", ("classes",)),),
    ),
}


def check_graph(
    task: str,
    inputs: Sequence[TensorSpec],
    optional_inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> None:
    """Hold a graph's tensors to the signature of `task`; ModelError names the tensor that differs.

    inputs: those without an initializer; optional_inputs: those with one. A varying dimension of an input
    must not be a fixed number in the file, for then it would not take a picture of any size.
    """
    signature = SIGNATURES[task]
    for kind, wanted, found in (
        ("input", signature.inputs, inputs),
        ("optional input", signature.optional_inputs, optional_inputs),
        ("output", signature.outputs, outputs),
    ):
        by_name = {spec.name: spec for spec in found}
        for spec in wanted:
            if spec.name not in by_name:
                raise ModelError(f"the {task} contract asks for the {kind} {spec}, but the file has none.")
            if not _agrees(spec, by_name.pop(spec.name), varying_may_be_fixed=kind == "output"):
                given = next(other for other in found if other.name == spec.name)
                raise ModelError(f"the {task} contract asks for the {kind} {spec}, but the file has {given}.")
        for name in by_name:
            if kind == "input" and name in {spec.name for spec in signature.optional_inputs}:
                raise ModelError(
                    f"the input {name!r} must be optional: store its default in an initializer of that name."
                )
            raise ModelError(f"the {task} contract has no {kind} {name!r}, but the file does.")


def _agrees(wanted: TensorSpec, found: TensorSpec, *, varying_may_be_fixed: bool) -> bool:
    if found.dtype != wanted.dtype:
        return False
    if found.shape is None or wanted.shape is None:
        return True
    if len(found.shape) != len(wanted.shape):
        return False
    for want, have in zip(wanted.shape, found.shape, strict=True):
        if isinstance(have, int) and isinstance(want, int) and have != want:
            return False
        if isinstance(have, int) and isinstance(want, str) and not varying_may_be_fixed:
            return False
    return True


def check_option(name: str, value: float | int) -> None:
    """ModelError unless `value` is one the optional input `name` may have: a share 0..1, or a count >= 1."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if name.endswith("_threshold"):
        if not is_number or not 0.0 <= value <= 1.0:
            raise ModelError(f"{name}: {value!r} must be a number from 0 to 1.")
    elif not is_number or not isinstance(value, numbers.Integral) or not 1 <= value < 2**31:
        raise ModelError(f"{name}: {value!r} must be a whole number of 1 or more.")
