"""The rectifier of a stem behind the pool that follows it: the same numbers, and a pool of floats."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tombola.export.graph.walk import rename_reads


def rectify_behind_pool(graph: onnx.GraphProto, layers: set[str]) -> None:
    """Turn Relu, MaxPool behind one of `layers` (names of nodes) into MaxPool, Max(x, 0).

    The largest of rectified numbers is the rectified largest. onnxruntime moves the step to bytes that
    follows a pool before it, and its pool of bytes takes 25 times as long as that of floats; it leaves Max
    where it is.
    """
    given = {output: node for node in graph.node for output in node.output}
    readers: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    for pool in graph.node:
        relu = given.get(pool.input[0]) if pool.op_type == "MaxPool" else None
        if relu is None or relu.op_type != "Relu" or readers[pool.input[0]] != 1:
            continue
        layer = given.get(relu.input[0])
        if layer is None or layer.name not in layers:
            continue
        pooled, zero = pool.output[0], f"{pool.output[0]}/zero"
        rectified = f"{pooled}/rectified"
        rename_reads(graph, {pooled: rectified})
        pool.input[0] = relu.input[0]
        graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), zero))
        after = helper.make_node("Max", [pooled, zero], [rectified], relu.name)
        nodes = list(graph.node)
        nodes.insert(nodes.index(pool) + 1, after)
        nodes.remove(relu)
        del graph.node[:]
        graph.node.extend(nodes)
