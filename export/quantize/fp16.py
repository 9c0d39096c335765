"""A network that computes in float16, which GPUs do twice as fast; processors do not."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tombola.errors import ExportError
from tombola.export.graph.walk import reads, sort_nodes
from tombola.export.quantize.layers import Plan


def to_fp16(model: onnx.ModelProto, plan: Plan) -> onnx.ModelProto:
    """A copy of a float32 model whose nodes of the plan compute in float16.

    All else stays as it is: in float16 a pixel of a 4K picture has no fractions. ExportError if a weight is
    larger than float16 can hold.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    halves = {name for node in graph.node if node.name in plan.nodes for name in node.output}
    made: dict[str, onnx.NodeProto | onnx.TensorProto] = {}
    for node in graph.node:
        in_half = node.name in plan.nodes
        for place, name in enumerate(node.input):
            # The scales and sizes of a Resize are numbers of their own.
            if in_half and name and name not in halves and (place == 0 or node.op_type != "Resize"):
                half = f"{name}/float16"
                if half not in made:
                    made[half] = _half(stored[name], half) if name in stored else _cast(name, half)
                node.input[place] = half
            elif not in_half and name in halves:
                wide = f"{name}/float32"
                made.setdefault(wide, _cast(name, wide))
                node.input[place] = wide
    graph.node.extend(one for one in made.values() if isinstance(one, onnx.NodeProto))
    graph.initializer.extend(one for one in made.values() if isinstance(one, onnx.TensorProto))
    _drop_unread(graph)
    sort_nodes(graph)
    return copy


def _cast(name: str, target: str) -> onnx.NodeProto:
    to = TensorProto.FLOAT16 if target.endswith("/float16") else TensorProto.FLOAT
    return helper.make_node("Cast", [name], [target], f"net/{target}", to=to)


def _half(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    values = numpy_helper.to_array(tensor)
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise ExportError(
            f"{tensor.name} holds {np.abs(values).max():.3g}, more than float16 can (65504); take int8"
        )
    return numpy_helper.from_array(half, name)


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Leave out the float32 twin of each weight that is in float16 now, which gets its plain name."""
    read = {value.name for value in graph.input}.union(*map(reads, graph.node))
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    plain = {tensor.name for tensor in kept}
    names = {
        tensor.name: tensor.name.removesuffix("/float16")
        for tensor in kept
        if tensor.name.endswith("/float16") and tensor.name.removesuffix("/float16") not in plain
    }
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
