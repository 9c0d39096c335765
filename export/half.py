"""Weights stored as float16: half the file, the same arithmetic.

Every tensor that float16 holds exactly is stored so, with a Cast to float32 behind it. onnxruntime does the
casts once, when it loads the file, and computes in float32 as before. The network's weights are rounded
first, in PyTorch, so that parity compares the very same numbers.
"""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tombola.errors import ExportError

# Below this many numbers a Cast node costs more bytes than it saves.
_WORTH_IT = 256


def round_weights(network: nn.Module) -> None:
    """Round each weight of `_WORTH_IT` numbers or more to its nearest float16, in place, dtype kept.

    Raises ExportError that names a tensor with numbers beyond float16's range.
    """
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.numel() < _WORTH_IT:
                continue
            rounded = weight.half().float()
            if not torch.isfinite(rounded).all():
                raise ExportError(
                    f"{name} holds {weight.abs().max().item():.3g}, more than float16 can ({65504}); "
                    "export without half precision."
                )
            weight.copy_(rounded)


def store_half(graph: onnx.GraphProto) -> None:
    """Store float32 initializers that float16 holds exactly as float16, each behind a Cast; others stay."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < _WORTH_IT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        wide = f"{tensor.name}/float32"
        casts.append(helper.make_node("Cast", [tensor.name], [wide], f"net/{wide}", to=TensorProto.FLOAT))
        for node in graph.node:
            node.input[:] = [wide if name == tensor.name else name for name in node.input]
        tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
