"""Transposed convolutions as ordinary ones: the same sums, held to PyTorch's own."""

import numpy as np
import onnx
import onnxruntime as ort
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tombola.export.quantize.subpixel import to_subpixels


@st.composite
def layers(draw: st.DrawFn) -> dict[str, tuple[int, int]]:
    stride = draw(st.integers(1, 3))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    padding = (draw(st.integers(0, kernel[0] - 1)), draw(st.integers(0, kernel[1] - 1)))
    more = draw(st.tuples(st.integers(0, stride - 1), st.integers(0, stride - 1)))
    return {"stride": (stride, stride), "kernel": kernel, "padding": padding, "output_padding": more}


@settings(max_examples=25, deadline=None)
@given(layer=layers(), size_hw=st.tuples(st.integers(2, 5), st.integers(2, 5)), relu=st.booleans())
def test_the_sums_are_those_of_the_transposed_convolution(
    layer: dict[str, tuple[int, int]], size_hw: tuple[int, int], relu: bool
) -> None:
    sides = zip(size_hw, *(layer[name] for name in ("kernel", "padding", "output_padding")), strict=True)
    assume(all((n - 1) * layer["stride"][0] + side + more > 2 * pad for n, side, pad, more in sides))
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 3, *size_hw)), rng.standard_normal((3, 2, *layer["kernel"]))
    bias = rng.standard_normal(2)
    expected = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(x),
        torch.from_numpy(weight),
        torch.from_numpy(bias),
        stride=layer["stride"],
        padding=layer["padding"],
        output_padding=layer["output_padding"],
    )
    expected = expected.relu() if relu else expected
    graph = _graph(layer, weight, bias, relu=relu)
    to_subpixels(graph)
    left = any(node.op_type == "ConvTranspose" for node in graph.node)
    # What the output has beyond all sums is not to be had from them.
    assert not left or any(
        more > pad + (-side % stride)
        for more, pad, side, stride in zip(
            layer["output_padding"], layer["padding"], layer["kernel"], layer["stride"], strict=True
        )
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x.astype(np.float32)})
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-4)


def test_what_others_read_too_stays() -> None:
    layer = {"stride": (2, 2), "kernel": (4, 4), "padding": (1, 1), "output_padding": (0, 0)}
    graph = _graph(layer, np.ones((3, 2, 4, 4)), np.ones(2), relu=False)
    graph.node.append(helper.make_node("Identity", ["weight"], ["twice"], "again"))
    before = graph.SerializeToString()
    to_subpixels(graph)
    assert graph.SerializeToString() == before


def _graph(
    layer: dict[str, tuple[int, int]], weight: NDArray[np.float64], bias: NDArray[np.float64], *, relu: bool
) -> onnx.GraphProto:
    node = helper.make_node(
        "ConvTranspose",
        ["x", "weight", "bias"],
        ["sum" if relu else "y"],
        "layer",
        strides=layer["stride"],
        pads=layer["padding"] * 2,
        output_padding=layer["output_padding"],
    )
    stored = [
        numpy_helper.from_array(values.astype(np.float32), name)
        for name, values in (("weight", weight), ("bias", bias))
    ]
    return helper.make_graph(
        [node, *([helper.make_node("Relu", ["sum"], ["y"], "relu")] if relu else [])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2, "wide", "tall"])],
        stored,
    )
