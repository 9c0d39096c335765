"""What runs in a loop or for one, quantised as it runs: products of stored weights in 8 bits with numbers
whose limits are found anew at each step.

The steps of a decoder follow from each other: limits fitted to some captions would not hold for others.
"""

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tombola.export.graph.walk import rename_reads, walk
from tombola.export.quantize.layers import is_transposed
from tombola.export.quantize.processor import Processor

LAST = "last_dimension"


def to_dynamic_int8(
    model: onnx.ModelProto,
    nodes: Collection[str],
    weights: Mapping[str, NDArray[np.float32]],
    processor: Processor,
) -> None:
    """Have those nodes, of the graph, its loops and branches, compute in int8, in place.

    weights: all that the float model stores, by name. A scale for each output; its bias stays float32. Where
    rows of such a weight are looked up as well, each for an output, they are looked up among its bytes.
    """
    graph = model.graph
    by_rows = _looked_up(graph)
    made: set[str] = set()
    outside: dict[str, list[str]] = {}
    for part in walk(graph):
        quantised = outside if part is graph else dict(outside)
        done: list[onnx.NodeProto] = []
        for node in part.node:
            if node.name not in nodes:
                done.append(node)
                continue
            given, name = node.input[0], str(node.input[1])
            if name not in made:
                if not is_transposed(node):
                    by_rows.discard(name)
                graph.initializer.extend(
                    _stored(name, weights[name], node, processor, by_rows=name in by_rows)
                )
                made.add(name)
            if given not in quantised:
                found = quantised[given] = [f"{given}/uint8", f"{given}/scale", f"{given}/zero_point"]
                done.append(
                    helper.make_node("DynamicQuantizeLinear", [given], found, f"{node.name}_quantize")
                )
            done += _product(node, name, quantised[given])
        del part.node[:]
        part.node.extend(done)
    by_rows &= made
    _look_up_bytes(graph, by_rows)
    _drop_unread(graph, made, by_rows)


def _looked_up(graph: onnx.GraphProto) -> set[str]:
    """What rows are looked up of: the words that a decoder said, in the matrix that says the next one."""
    return {node.input[0] for part in walk(graph) for node in part.node if _is_look_up(node)}


def _is_look_up(node: onnx.NodeProto) -> bool:
    return node.op_type == "Gather" and not any(one.name == "axis" and one.i for one in node.attribute)


def _look_up_bytes(graph: onnx.GraphProto, names: Collection[str]) -> None:
    """Have rows of those weights read from their bytes; for products these are turned, once for all steps."""
    for part in walk(graph):
        done: list[onnx.NodeProto] = []
        for node in part.node:
            done += _row(node) if _is_look_up(node) and node.input[0] in names else [node]
        del part.node[:]
        part.node.extend(done)
    for name in sorted(names):
        turn = helper.make_node("Transpose", [f"{name}/rows"], [f"{name}/int8"], f"{name}_turn", perm=[1, 0])
        graph.node.insert(0, turn)
    if names:
        graph.initializer.append(numpy_helper.from_array(np.array([-1]), LAST))


def _row(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Rows as float32: bytes times the scale of each."""
    (weight, places), out = node.input, node.output[0]
    small, wide, scale, factor = (
        f"{out}/{part}" for part in ("row", "row_float32", "row_scale", "row_factor")
    )
    return [
        helper.make_node("Gather", [f"{weight}/rows", places], [small], node.name, axis=0),
        helper.make_node("Cast", [small], [wide], f"{node.name}_float32", to=TensorProto.FLOAT),
        helper.make_node("Gather", [f"{weight}/int8_scale", places], [scale], f"{node.name}_scale", axis=0),
        helper.make_node("Unsqueeze", [scale, LAST], [factor], f"{node.name}_factor"),
        helper.make_node("Mul", [wide, factor], [out], f"{node.name}_scaled"),
    ]


def _stored(
    name: str, weight: NDArray[np.float32], node: onnx.NodeProto, processor: Processor, *, by_rows: bool
) -> list[onnx.TensorProto]:
    """The weight as int8, symmetric, [in, out] or by rows [out, in], and the scale of each output."""
    columns = weight.T if is_transposed(node) else weight
    most = 63 if processor.reduce_range else 127
    scale = np.maximum(np.abs(columns).max(axis=0), np.finfo(np.float32).tiny * 256) / most
    small = np.clip(np.rint(columns / scale), -most, most).astype(np.int8)
    kept, part = (small.T, "rows") if by_rows else (small, "int8")
    return [
        numpy_helper.from_array(np.ascontiguousarray(kept), f"{name}/{part}"),
        numpy_helper.from_array(scale.astype(np.float32), f"{name}/int8_scale"),
    ]


def _product(node: onnx.NodeProto, weight: str, given: list[str]) -> list[onnx.NodeProto]:
    """In the form that onnxruntime takes together to one kernel."""
    bytes_given, scale, zero_point = given
    bias = node.input[2] if len(node.input) > 2 else ""
    name, out = node.name, node.output[0]
    whole, wide, factor = (f"{out}/{part}" for part in ("int32", "float32", "scale"))
    scaled = f"{out}/scaled" if bias else out
    steps = [
        helper.make_node("MatMulInteger", [bytes_given, f"{weight}/int8", zero_point], [whole], name),
        helper.make_node("Cast", [whole], [wide], f"{name}_float32", to=TensorProto.FLOAT),
        helper.make_node("Mul", [scale, f"{weight}/int8_scale"], [factor], f"{name}_scale"),
        helper.make_node("Mul", [wide, factor], [scaled], f"{name}_scaled"),
    ]
    if bias:
        steps.append(helper.make_node("Add", [scaled, bias], [out], f"{name}_bias"))
    return steps


def _drop_unread(graph: onnx.GraphProto, made: set[str], by_rows: set[str]) -> None:
    """Leave out the float32 twin of each weight that nobody reads any more; its bytes get its plain name."""
    read = {name for part in walk(graph) for node in part.node for name in node.input}
    gone = made - read
    kept = [tensor for tensor in graph.initializer if tensor.name not in gone]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    names = {f"{name}/{'rows' if name in by_rows else 'int8'}": name for name in gone}
    names |= {f"{name}/int8_scale": f"{name}/scale" for name in gone}
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    rename_reads(graph, names)
