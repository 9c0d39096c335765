"""A transposed convolution as an ordinary one, which onnxruntime computes in bytes: each phase of its output
is a channel, and they are put side by side afterwards (Shi et al. 2016, "Is the deconvolution layer the same
as a convolutional layer?")."""

from collections import defaultdict
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tombola.export.graph.walk import reads

_PLAIN: dict[str, Any] = {
    "group": 1,
    "dilations": [1, 1],
    "strides": [1, 1],
    "pads": [0, 0, 0, 0],
    "output_padding": [0, 0],
    "auto_pad": b"NOTSET",
}


def to_subpixels(graph: onnx.GraphProto) -> None:
    """Turn each ConvTranspose of one group whose strides are alike into Conv, DepthToSpace and Slice, in
    place; a Relu behind it comes before the DepthToSpace, for onnxruntime takes it together with the Conv.

    The same sums in another order. The weight keeps its name.
    """
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in reads(node):
            readers[name].append(node)
    stored = {tensor.name: tensor for tensor in graph.initializer}
    answers = {value.name for value in graph.output}
    nodes: list[onnx.NodeProto] = []
    done: set[str] = set()  # names of those that are among the nodes already
    for node in graph.node:
        if node.op_type != "ConvTranspose" or not _fits(node, stored, readers):
            nodes += [] if node.name in done else [node]
            continue
        after = [] if node.output[0] in answers else readers[node.output[0]]
        relu = after[0] if len(after) == 1 and after[0].op_type == "Relu" else None
        nodes += _ordinary(node, relu, stored)
        done |= set() if relu is None else {relu.name}
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.initializer[:]
    graph.initializer.extend(stored.values())


def subpixel_weight(weight: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """The kernel [in, out, h, w] of a transposed convolution as that of an ordinary one,
    [out · stride², in, ⌈h / stride⌉, ⌈w / stride⌉]: channel (o · stride + a) · stride + b gives the cells
    (stride · q + a, stride · r + b) of output o. Where the stride does not divide a side, there are zeros."""
    given, made, height, width = weight.shape
    tall, wide = -(-height // stride), -(-width // stride)
    whole = np.zeros((given, made, tall * stride, wide * stride), np.float32)
    whole[:, :, :height, :width] = weight
    phases = whole.reshape(given, made, tall, stride, wide, stride)[:, :, ::-1, :, ::-1]
    return np.ascontiguousarray(phases.transpose(1, 3, 5, 0, 2, 4)).reshape(-1, given, tall, wide)


def _fits(
    node: onnx.NodeProto, stored: dict[str, onnx.TensorProto], readers: dict[str, list[onnx.NodeProto]]
) -> bool:
    told, own = _attributes(node), node.input[1:]
    if not all(name in stored and len(readers[name]) == 1 for name in own if name):
        return False
    plain = told["group"] == 1 and {*told["dilations"]} == {1} and told["auto_pad"] == b"NOTSET"
    dims = stored[own[0]].dims
    return plain and len(dims) == 4 and len({*told["strides"]}) == 1 and min(_cut(node, dims[2:])[1]) >= 0


def _ordinary(
    node: onnx.NodeProto, relu: onnx.NodeProto | None, stored: dict[str, onnx.TensorProto]
) -> list[onnx.NodeProto]:
    """What stands in for the node, and for the Relu behind it; what it reads is put into `stored`."""
    kernel, *bias = node.input[1:]
    tensor, stride = stored[kernel], _attributes(node)["strides"][0]
    begins, ends = _cut(node, tensor.dims[2:])
    weight = subpixel_weight(numpy_helper.to_array(tensor), stride)
    stored[kernel] = numpy_helper.from_array(weight, kernel)
    for name in filter(None, bias):
        each = np.repeat(numpy_helper.to_array(stored[name]), stride**2)
        stored[name] = numpy_helper.from_array(each, name)
    out = node.output[0] if relu is None else relu.output[0]
    phases, rectified, whole = (f"{out}/{part}" for part in ("phases", "rectified", "whole"))
    sides = weight.shape[2:]
    conv = helper.make_node(
        "Conv",
        [node.input[0], *node.input[1:]],
        [phases],
        node.name,
        kernel_shape=sides,
        pads=[side - 1 for side in sides] * 2,
    )
    after = [] if relu is None else [helper.make_node("Relu", [phases], [rectified], relu.name)]
    given = rectified if after else phases
    name = f"{node.name}_whole"
    join = helper.make_node("DepthToSpace", [given], [whole], name, blocksize=stride, mode="CRD")
    last = np.iinfo(np.int64).max
    bounds = {"begins": begins, "ends": [-end if end else last for end in ends], "axes": [2, 3]}
    for part, values in bounds.items():
        stored[f"{whole}/{part}"] = numpy_helper.from_array(np.array(values, np.int64), f"{whole}/{part}")
    read = [whole, *(f"{whole}/{part}" for part in bounds)]
    return [conv, *after, join, helper.make_node("Slice", read, [out], f"{node.name}_cut")]


def _cut(node: onnx.NodeProto, kernel_hw: Any) -> tuple[list[int], list[int]]:
    """Rows and columns of all sums before and behind those that are the output; below 0 where it has more."""
    told = _attributes(node)
    begins, pads = told["pads"][:2], told["pads"][2:]
    behind = zip(kernel_hw, told["strides"], pads, told["output_padding"], strict=True)
    return begins, [-(-side // stride) * stride - side + pad - more for side, stride, pad, more in behind]


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return _PLAIN | {one.name: helper.get_attribute_value(one) for one in node.attribute}
