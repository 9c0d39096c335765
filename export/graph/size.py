"""Where the bytes of a file are: its weights by part of the network."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from tombola.export.graph.walk import walk


@dataclass(frozen=True)
class PartSize:
    """The weights of one part: how many numbers, how many of them are 0, and their bytes as stored."""

    name: str
    weights: int
    zeros: int
    nbytes: int


def sizes(graph: onnx.GraphProto) -> tuple[PartSize, ...]:
    """The network's parts in their order, those of a backbone and of a list of layers one by one; constants
    last. What loops and branches store counts as well; scales of integers have bytes, and are no weights."""
    parts: dict[str, list[onnx.TensorProto]] = {}
    scales = set[str]()
    for inner in walk(graph):
        for tensor in inner.initializer:
            parts.setdefault(_part(tensor.name), []).append(tensor)
        for node in inner.node:
            if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
                scales.update(node.input[1:])
    constants = parts.pop(_OTHER, [])
    return tuple(_measure(name, tensors, scales) for name, tensors in [*parts.items(), (_OTHER, constants)])


_OTHER = "constants"


def _part(name: str) -> str:
    if not name.endswith((".weight", ".bias")):
        return _OTHER
    first, *rest = name.split(".")
    if first == "backbone":
        return ".".join([first, *rest[:2]])
    return f"{first}.{rest[0]}" if rest[0].isdigit() else first


def _measure(name: str, tensors: list[onnx.TensorProto], scales: set[str]) -> PartSize:
    arrays = [(tensor.name, numpy_helper.to_array(tensor)) for tensor in tensors]
    weights = [array for key, array in arrays if key not in scales]
    return PartSize(
        name,
        sum(array.size for array in weights),
        sum(int(np.count_nonzero(array == 0)) for array in weights),
        sum(array.nbytes for _, array in arrays),
    )
