"""How large each layer of a model file is."""

from dataclasses import dataclass

from tombola.runtime.modelfile.graph import Graph
from tombola.runtime.modelfile.tensor import Tensor


@dataclass(frozen=True)
class Layer:
    """A node and the weights that it is the first to use.

    kind: its operator; count, zeros: how many weights, and how many of them are zero; nbytes: their bytes,
    those of their scales included.
    """

    name: str
    kind: str
    count: int
    zeros: int
    nbytes: int


def layers(graph: Graph) -> list[Layer]:
    """The layers of `graph`, largest first. A weight that several nodes share counts once, at the first."""
    stored = {tensor.name: tensor for tensor in graph.initializers}
    found = []
    for node in graph.nodes:
        weights = [stored.pop(name) for name in node.weights if name in stored]
        if weights:
            found.append(_layer(weights, node.op_type, graph.scales))
    if stored:
        found.append(_layer(list(stored.values()), "(used by no node)", graph.scales))
    return sorted(found, key=lambda layer: (-layer.nbytes, layer.name))


def _layer(stored: list[Tensor], kind: str, scales: frozenset[str]) -> Layer:
    largest = max(stored, key=lambda tensor: tensor.nbytes)
    weights = [tensor for tensor in stored if tensor.name not in scales]
    return Layer(
        name=largest.name.removesuffix(".weight"),
        kind=kind,
        count=sum(tensor.count for tensor in weights),
        zeros=sum(tensor.zeros for tensor in weights),
        nbytes=sum(tensor.nbytes for tensor in stored),
    )
