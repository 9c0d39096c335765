"""A tensor as an `.onnx` file stores it: name, dtype, dims and values, viewed in place."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tombola.errors import ModelError
from tombola.runtime.modelfile.protobuf import Budget, fields, to_int, to_name, to_view, varints

# TensorProto.DataType -> numpy's name; the rest (strings, float8, 4-bit) are listed by their number.
DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip
ITEM_BYTES = {
    "float32": 4, "uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "int32": 4, "int64": 8, "bool": 1,
    "float16": 2, "float64": 8, "uint32": 4, "uint64": 8, "bfloat16": 2,
}  # fmt: skip

MAX_DIMS = 16


@dataclass(frozen=True)
class Tensor:
    """One stored tensor. `data` views the file's little-endian raw bytes and is empty where it stores none.

    dims are the counts along each axis ([] is a scalar); nbytes is the size of the values.
    """

    name: str
    dtype: str
    dims: tuple[int, ...]
    data: memoryview
    is_external: bool

    @property
    def count(self) -> int:
        """How many values it holds."""
        return math.prod(self.dims)

    @property
    def nbytes(self) -> int:
        """Bytes its values take."""
        return len(self.data)

    @property
    def zeros(self) -> int:
        """How many of its values are exactly zero (0.0 and -0.0 alike)."""
        values = self._values()
        if self.dtype == "bfloat16":  # its sign bit may be set on a zero
            return int(np.count_nonzero((values & np.uint16(0x7FFF)) == 0))
        return int(values.size - np.count_nonzero(values))

    @property
    def has_nan(self) -> bool:
        """Whether one of its values is not a number. Infinities are allowed: masks are made of them."""
        values = self._values()
        if self.dtype in ("bfloat16", "float16"):
            # On the bits, where NumPy is ten times faster than in float16: a NaN is above infinity, and with
            # the sign bit, which makes the largest of all unsigned numbers, above minus infinity.
            infinity = 0x7F80 if self.dtype == "bfloat16" else 0x7C00
            signed, unsigned = values.view("<i2"), values.view("<u2")
            return values.size > 0 and bool(signed.max() > infinity or unsigned.max() > infinity | 0x8000)
        # min() hands a NaN on and makes no array of the same size.
        return values.dtype.kind == "f" and values.size > 0 and bool(np.isnan(values.min()))

    def _values(self) -> NDArray[Any]:
        if self.dtype not in ITEM_BYTES:
            return np.zeros(0, np.uint8)
        stored = "uint16" if self.dtype == "bfloat16" else self.dtype
        return np.frombuffer(self.data, dtype=np.dtype(stored).newbyteorder("<"))


def read_tensor(message: memoryview, budget: Budget) -> Tensor:
    """Read a TensorProto; ModelError where its bytes do not match its dims."""
    name, dtype, dims, is_external = "", "undefined", list[int](), False
    raw: memoryview = memoryview(b"")
    numbers = bytearray()
    for number, value in fields(message, budget):
        if number == 1:
            dims.extend([to_int(value)] if isinstance(value, int) else map(to_int, varints(value, budget)))
        elif number == 2:
            dtype = DTYPES.get(to_int(value), f"type {to_int(value)}")
        elif number in (4, 10):  # float_data, double_data: already little-endian values
            numbers += to_view(value)
        elif number in (5, 7, 11):  # int32_data, int64_data, uint64_data: varints of a wider type
            items = [value] if isinstance(value, int) else varints(value, budget)
            size = ITEM_BYTES.get(dtype, 1)
            for item in items:
                numbers += (item & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        elif number == 8:
            name = to_name(value)
        elif number == 9:
            raw = to_view(value)
        elif number == 13 or (number == 14 and to_int(value) == 1):
            is_external = True
    if len(dims) > MAX_DIMS:
        raise ModelError(f"the tensor {name!r} has {len(dims)} dimensions, more than {MAX_DIMS}.")
    data = raw if len(raw) else memoryview(bytes(numbers))
    tensor = Tensor(name, dtype, tuple(dims), data, is_external)
    if any(dim < 0 for dim in dims):
        raise ModelError(f"the file is damaged: tensor {name!r} has dims {dims}.")
    if dtype in ITEM_BYTES and not is_external and len(data) != tensor.count * ITEM_BYTES[dtype]:
        raise ModelError(f"the file is damaged: tensor {name!r} of {dims} {dtype} holds {len(data)} bytes.")
    return tensor
