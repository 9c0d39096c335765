"""What a task's graph takes and gives: names, dtypes, shapes, ranges; each task's own is in its folder."""

import math
import numbers
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from tombola.errors import ModelError

Names = Literal["required", "optional", "absent"]


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype (numpy's name) and shape of one graph input or output.

    A dimension is an int, or a name where it varies; `shape` is None where a file does not state it. The
    dimension named "classes" is as long as the labels are.
    least, most: the range of an optional input's value, both included.
    instead_of: of an input that only some files have, the one that these do not have for it.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None
    least: float = -math.inf
    most: float = math.inf
    instead_of: str = ""

    def __str__(self) -> str:
        dims = "any shape" if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        return f"{self.name} {self.dtype} {dims}"


@dataclass(frozen=True)
class Signature:
    """The tensors of one task. Optional inputs are graph inputs with an initializer of the same name.

    labels, vocabulary: whether a file of the task names classes, or the words that tokens stand for.
    more_inputs: what some files of the task must be fed besides, after the inputs of all; more_outputs: what
    some answer besides, after the outputs of all.
    sides: named dimensions that do not vary: each file has a number of its own for them.
    """

    inputs: tuple[TensorSpec, ...]
    optional_inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    labels: Names = "required"
    vocabulary: Names = "absent"
    more_inputs: tuple[TensorSpec, ...] = ()
    more_outputs: tuple[TensorSpec, ...] = ()
    sides: tuple[str, ...] = ()

    def with_sides(self, sides: Mapping[str, int]) -> "Signature":
        """That of a file whose `sides` have these numbers."""

        def known(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
            return tuple(
                replace(spec, shape=spec.shape and tuple(sides.get(str(side), side) for side in spec.shape))
                for spec in specs
            )

        return replace(
            self,
            inputs=known(self.inputs),
            outputs=known(self.outputs),
            more_inputs=known(self.more_inputs),
        )

    def with_more(self, inputs: Container[str], outputs: Container[str] = ()) -> "Signature":
        """That of a file which must be fed those of `more_inputs`, and answers those of `more_outputs`, that
        are named."""
        fed = tuple(spec for spec in self.more_inputs if spec.name in inputs)
        answered = tuple(spec for spec in self.more_outputs if spec.name in outputs)
        replaced = {spec.instead_of for spec in fed}
        kept = tuple(spec for spec in self.inputs if spec.name not in replaced)
        return replace(self, inputs=(*kept, *fed), outputs=(*self.outputs, *answered))

    def option(self, name: str) -> TensorSpec:
        """The optional input `name`; ModelError where the task has no such option."""
        for spec in self.optional_inputs:
            if spec.name == name:
                return spec
        known = ", ".join(spec.name for spec in self.optional_inputs) or "none"
        raise ModelError(f"{name}: is not an option of this task, which has {known}.")

    def option_feeds(self, options: Mapping[str, float | int | None]) -> dict[str, NDArray[Any]]:
        """Arrays for the optional inputs that are given; None leaves one at the file's own default.

        ModelError for an option that the task has not, or a value out of its range.
        """
        # onnxruntime takes an optional scalar only as a 0-d array of exactly the declared dtype.
        return {
            name: option_array(self.option(name), value)
            for name, value in options.items()
            if value is not None
        }


# What every task that looks at pictures takes.
IMAGE = TensorSpec("image", "uint8", ("height", "width", 3))
# What the files of those tasks take that look at clips: frames in their order.
FRAMES = TensorSpec("frames", "uint8", ("n", "height", "width", 3), instead_of="image")


def check_tensors(
    task: str,
    signature: Signature,
    inputs: Sequence[TensorSpec],
    optional_inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> None:
    """Hold a graph's tensors to `signature`, that of `task`; ModelError names the tensor that differs.

    inputs: those without an initializer; optional_inputs: those with one. A varying dimension of an input
    must not be a fixed number in the file, for then it would not take a picture of any size.
    """
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


def option_array(spec: TensorSpec, value: Any) -> NDArray[Any]:
    """`value` as the array [] that an optional input takes; ModelError unless it is in the spec's range."""
    whole = spec.dtype.startswith("int")
    kind = numbers.Integral if whole else numbers.Real
    if (
        isinstance(value, bool)
        or not isinstance(value, kind)
        or not spec.least <= cast(Any, value) <= spec.most
    ):
        raise ModelError(f"{spec.name}: {value!r} must be {_range_text(spec, whole=whole)}.")
    return np.array(value, spec.dtype)


def _range_text(spec: TensorSpec, *, whole: bool) -> str:
    number = "a whole number" if whole else "a number"
    if math.isinf(spec.most):
        return number if math.isinf(spec.least) else f"{number} of {spec.least:g} or more"
    return f"{number} from {spec.least:g} to {spec.most:.15g}"


def to_array(spec: TensorSpec, values: object) -> NDArray[Any]:
    """Nested lists of numbers, as JSON holds them, as an array of the spec's dtype and shape.

    ModelError where they are anything else, or a number is not finite or none of the dtype.
    """
    try:
        found = np.array(values)
    except (ValueError, OverflowError):
        found = np.array(None)
    wanted = np.dtype(spec.dtype)
    shape = spec.shape or ()
    if found.size == 0:  # an empty list does not tell its inner sides
        found = found.astype(wanted).reshape([side if isinstance(side, int) else 0 for side in shape])
    fits = found.ndim == len(shape) and all(
        have == want or not isinstance(want, int) for have, want in zip(found.shape, shape, strict=True)
    )
    with np.errstate(over="ignore"):
        array = found.astype(wanted) if fits and found.dtype.kind in "iuf" else np.array(np.nan)
    whole = wanted.kind in "iu"
    if (
        array.shape != found.shape
        or not np.isfinite(array).all()
        or (whole and not np.array_equal(array, found))
    ):
        dims = ", ".join(map(str, shape))
        raise ModelError(f"{spec.name} must be finite numbers {spec.dtype} [{dims}].")
    return array
