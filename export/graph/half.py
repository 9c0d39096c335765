"""Weights stored as float16: half the file, the same arithmetic.

Every tensor that float16 holds exactly is stored so, with a Cast to float32 behind it. onnxruntime does the
casts once, when it loads the file, and computes in float32 as before. The network's weights are rounded
first, in PyTorch, so that parity compares the very same numbers.
"""

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tombola.errors import ExportError
from tombola.export.graph.walk import rename_reads, walk

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
    """Store float32 initializers that float16 holds exactly as float16, each behind a Cast; others stay.

    Those of loops and branches too, each with its Cast beside it.
    """
    for part in walk(graph):
        casts = []
        given_out = {value.name for value in part.output}
        for tensor in part.initializer:
            # What a graph gives out has a stated type; no node stands between.
            if tensor.data_type != TensorProto.FLOAT or tensor.name in given_out:
                continue
            half = _as_half(tensor)
            if half is not None:
                wide = f"{tensor.name}/float32"
                casts.append(
                    helper.make_node("Cast", [tensor.name], [wide], f"net/{wide}", to=TensorProto.FLOAT)
                )
                rename_reads(part, {tensor.name: wide})
                tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
        nodes = [*casts, *part.node]
        del part.node[:]
        part.node.extend(nodes)


def raise_half(graph: onnx.GraphProto) -> None:
    """Take `store_half` back: the same weights as float32 under their own names, without a Cast."""
    for part in walk(graph):
        halves = {
            tensor.name: tensor for tensor in part.initializer if tensor.data_type == TensorProto.FLOAT16
        }
        casts = {
            node.output[0]: node.input[0]
            for node in part.node
            if node.op_type == "Cast" and node.input[0] in halves
        }
        for name in casts.values():
            halves[name].CopyFrom(numpy_helper.from_array(_wide(halves[name]), name))
        nodes = [node for node in part.node if node.output[0] not in casts]
        del part.node[:]
        part.node.extend(nodes)
        rename_reads(part, casts)


def _wide(tensor: onnx.TensorProto) -> NDArray[np.float32]:
    return numpy_helper.to_array(tensor).astype(np.float32)


def _as_half(tensor: onnx.TensorProto) -> NDArray[np.float16] | None:
    """The tensor's numbers, if float16 holds them exactly and they are worth a Cast."""
    if int(np.prod(tensor.dims)) < _WORTH_IT:
        return None
    values = numpy_helper.to_array(tensor)
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), values) else None
