"""One halving of a picture as a graph of standard operators, on bytes and exact in every bit.

The mean of 2 × 2 pixels is a convolution whose result onnxruntime rounds. Rows are seen as they lie in
memory, [1, 1, height, width * 3], and 16 columns at a time give 8: four times as fast as sums of slices.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_PIXELS = 8  # columns that one step of the convolution gives
# Rounding is to even, a half must go up: 4 less a hair, which no other sum of four bytes notices.
_FOUR = np.float32(4 * (1 - 2**-18))


def halving_loop() -> onnx.GraphProto:
    """The body of a Loop that carries the picture alone: uint8 [height, width, 3] -> half of each side."""
    node = helper.make_node
    numbers: dict[str, NDArray[np.generic]] = {
        "one": np.array([1]), "two": np.array([2]), "three": np.array([3]), "zero": np.array([0]),
        "columns": np.array([1]), "flat": np.array([0, -1, 3]),
        "exact": np.array(1, np.float32), "four": np.array(_FOUR),
        "no_offset": np.array(0, np.uint8), "no_shift": np.array(0, np.int8), "pairs": _pairs(),
    }  # fmt: skip
    nodes = [
        node("Identity", ["again"], ["more"]),
        node("Shape", ["image"], ["height"], start=0, end=1),
        node("Shape", ["image"], ["width"], start=1, end=2),
        node("Mul", ["width", "three"], ["row_bytes"]),
        node("Concat", ["one", "one", "height", "row_bytes"], ["as_rows"], axis=0),
        node("Reshape", ["image", "as_rows"], ["rows"]),
        node(
            "QLinearConv",
            ["rows", "exact", "no_offset", "pairs", "exact", "no_shift", "four", "no_offset"],
            ["means"],
            kernel_shape=[2, 6 * _PIXELS],
            strides=[2, 6 * _PIXELS],
            pads=[0, 0, 0, 6 * _PIXELS - 3],
        ),  # [1, 24, height / 2, ceil(width / 16)]
        node("Transpose", ["means"], ["channels_last"], perm=[0, 2, 3, 1]),
        node("Squeeze", ["channels_last", "zero"], ["in_steps"]),
        node("Reshape", ["in_steps", "flat"], ["padded"]),
        node("Div", ["width", "two"], ["half_width"]),
        node("Slice", ["padded", "zero", "half_width", "columns"], ["halved"]),
    ]
    picture = helper.make_tensor_type_proto(TensorProto.UINT8, ["height", "width", 3])
    smaller = helper.make_tensor_type_proto(TensorProto.UINT8, ["half_height", "half_width", 3])
    scalar = helper.make_tensor_type_proto
    return helper.make_graph(
        nodes,
        "halving",
        [
            helper.make_value_info("step", scalar(TensorProto.INT64, [])),
            helper.make_value_info("again", scalar(TensorProto.BOOL, [])),
            helper.make_value_info("image", picture),
        ],
        [
            helper.make_value_info("more", scalar(TensorProto.BOOL, [])),
            helper.make_value_info("halved", smaller),
        ],
        [numpy_helper.from_array(array, name) for name, array in numbers.items()],
    )


def _pairs() -> NDArray[np.int8]:
    """The kernel [8 * 3, 1, 2, 16 * 3]: 1 where a byte belongs to the pixel and channel of the output."""
    kernel = np.zeros((_PIXELS, 3, 1, 2, 2 * _PIXELS, 3), np.int8)
    for pixel in range(_PIXELS):
        for channel in range(3):
            kernel[pixel, channel, 0, :, 2 * pixel : 2 * pixel + 2, channel] = 1
    return kernel.reshape(3 * _PIXELS, 1, 2, 6 * _PIXELS)
