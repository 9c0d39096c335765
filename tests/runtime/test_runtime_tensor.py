"""Tensors of a model file, and the wire format that they are written in, read by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tombola.errors import ModelError
from tombola.runtime.modelfile.protobuf import Budget, fields, varints
from tombola.runtime.modelfile.tensor import Tensor, read_tensor

DTYPES = [
    "float32",
    "float16",
    "float64",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "int32",
    "int64",
    "uint64",
    "bool",
]


@pytest.mark.parametrize("as_raw", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensor_of_each_dtype(dtype: str, as_raw: bool) -> None:
    values = np.array([[0, 1, 2], [0, 0, 100]]).astype(dtype)
    if dtype.startswith(("float", "int")):
        values[0, 1] = -3
    onnx_type = helper.np_dtype_to_tensor_dtype(values.dtype)
    if as_raw:
        proto = numpy_helper.from_array(values, "weight")
    else:
        proto = helper.make_tensor("weight", onnx_type, values.shape, values.ravel().tolist())
    tensor = read_tensor(memoryview(proto.SerializeToString()), Budget())
    assert (tensor.name, tensor.dtype, tensor.dims) == ("weight", dtype, (2, 3))
    assert tensor.data.tobytes() == values.tobytes()
    assert (tensor.nbytes, tensor.count, tensor.zeros) == (values.nbytes, 6, 3)
    assert not tensor.has_nan


def test_bfloat16_zeros_and_nan() -> None:
    bits = np.array([0x0000, 0x8000, 0x3F80, 0x7F80], np.uint16)  # 0, -0, 1, infinity
    proto = TensorProto(name="b", data_type=TensorProto.BFLOAT16, dims=[4], raw_data=bits.tobytes())
    tensor = read_tensor(memoryview(proto.SerializeToString()), Budget())
    assert (tensor.dtype, tensor.zeros, tensor.has_nan) == ("bfloat16", 2, False)
    proto.raw_data = np.array([0, 0, 0, 0xFFC0], np.uint16).tobytes()
    assert read_tensor(memoryview(proto.SerializeToString()), Budget()).has_nan


@given(
    st.lists(st.floats(width=32), max_size=20).map(lambda items: np.array(items, np.float32)),
)
def test_zeros_and_nan_agree_with_numpy(values: NDArray[np.float32]) -> None:
    tensor = read_tensor(memoryview(numpy_helper.from_array(values, "w").SerializeToString()), Budget())
    assert tensor.zeros == int((values == 0).sum())
    assert tensor.has_nan == bool(np.isnan(values).any())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_pattern_of_two_bytes_that_is_not_a_number(dtype: str) -> None:
    """All 65,536 of them, against float32, whose upper half bfloat16 is."""
    bits = np.arange(1 << 16, dtype=np.uint16)
    wide = bits.view(np.float16) if dtype == "float16" else (bits.astype(np.uint32) << 16).view(np.float32)
    kind = TensorProto.FLOAT16 if dtype == "float16" else TensorProto.BFLOAT16
    for one, is_nan in zip(bits, np.isnan(wide), strict=True):
        assert Tensor("w", dtype, (1,), memoryview(one.tobytes()), False).has_nan == is_nan
    proto = TensorProto(name="w", data_type=kind, dims=[0])
    assert not read_tensor(memoryview(proto.SerializeToString()), Budget()).has_nan


def test_tensor_that_lies_about_its_size_is_refused() -> None:
    proto = TensorProto(name="short", data_type=TensorProto.FLOAT, dims=[1_000_000], raw_data=b"\0" * 8)
    with pytest.raises(ModelError, match=r"'short' of .* holds 8 bytes"):
        read_tensor(memoryview(proto.SerializeToString()), Budget())


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_varints_against_the_definition(numbers: list[int]) -> None:
    packed = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:
            packed.append(rest & 0x7F | 0x80)
            rest >>= 7
        packed.append(rest)
    assert list(varints(memoryview(bytes(packed)), Budget())) == numbers


def test_fields_by_hand() -> None:
    # field 1 varint 150; field 2 text "hi"; field 3 fixed32; field 4 fixed64
    message = b"\x08\x96\x01" + b"\x12\x02hi" + b"\x1d\x01\x02\x03\x04" + b"\x21" + bytes(range(8))
    found = [
        (number, value if isinstance(value, int) else bytes(value))
        for number, value in fields(memoryview(message), Budget())
    ]
    assert found == [(1, 150), (2, b"hi"), (3, b"\x01\x02\x03\x04"), (4, bytes(range(8)))]
