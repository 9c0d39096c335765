"""Which nodes of a network compute in fewer bits: those that gain by it, in one piece.

Measured on networks for detection and classification: a float island in the middle costs more than it saves,
for its surroundings are converted there and back; the stem is faster in float, and so is a depthwise
convolution at its resolution. What gives the answers is small, and hangs on every bit.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import onnx

from tombola.export.graph.walk import bodies, reads, walk

LAYERS = frozenset({"Conv", "Gemm", "MatMul"})
# What computes on bytes as well where its inputs come from a layer that does.
FOLLOWING = frozenset({"Clip", "Relu", "Add", "Resize", "MaxPool", "AveragePool", "Concat", "DepthToSpace"})
CUT = "Slice"  # of what a DepthToSpace joined, follows too
# What leads from one layer to the next without a choice among its numbers, besides the above.
PASSING = FOLLOWING | {
    "Max", "LeakyRelu", "PRelu", "Elu", "Sigmoid", "Tanh", "GlobalAveragePool", "ReduceMean", "RoiAlign",
    "MaxRoiPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Pad", "Identity", "Mul",
}  # fmt: skip
SUMS = frozenset({"Add", "Concat", "Max", "Mul"})
MOST_STEM_CHANNELS = 4  # that a picture has
FEWEST_OUTPUTS = 8  # of a product in a loop that gains by bytes


@dataclass(frozen=True)
class Plan:
    """nodes: names of the nodes that compute in fewer bits. steps: names of those, in loops and before, that
    find their limits as they run. layers: those of both with weights, by the names that these have without
    ".weight"; left: the other layers of the network, in the graph's order."""

    nodes: frozenset[str]
    steps: frozenset[str]
    layers: tuple[str, ...]
    left: tuple[str, ...]


def plan(graph: onnx.GraphProto, leave_out: Collection[str] = (), *, loops: bool = False) -> Plan:
    """Of a graph whose weights are float32 and whose nodes have the names that export gives.

    leave_out: names of layers that stay in float, beside the stem and those whose numbers are the answer.
    loops: products inside of loops and branches, and the last ones before, too; else they stay as they are.
    """
    reader = _Reader(graph)
    stem = reader.stem()
    left = stem | {node.name for node in reader.layers if reader.is_last(node) or reader.is_looped_at(node)}
    chosen = [node for node in reader.layers if node.name not in left and reader.layer(node) not in leave_out]
    names = {node.name for node in chosen}
    fewer = {output for node in chosen for output in node.output}
    for node in graph.node:
        sources = reader.sources(node)
        if reader.follows(node) and sources and all(name in fewer for name in sources):
            names.add(node.name)
            fewer.update(node.output)
    before = [node for node in reader.layers if node.name in left - stem and reader.leads_to_loop(node)]
    within = [node for body in list(walk(graph))[1:] for node in body.node]
    inside = [node for node in (*before, *within) if loops and reader.is_product(node)]
    steps = [node for node in inside if reader.layer(node) not in leave_out]
    layers = dict.fromkeys(map(reader.layer, [*chosen, *steps]))
    transposed = [node for node in graph.node if node.op_type == "ConvTranspose"]
    others = dict.fromkeys(reader.layer(node) for node in (*reader.layers, *transposed, *inside))
    return Plan(
        frozenset(names),
        frozenset(node.name for node in steps),
        tuple(layers),
        tuple(one for one in others if one not in layers),
    )


class _Reader:
    """Who reads what in a graph, and which of its nodes are layers."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.stored = {tensor.name: tensor for tensor in graph.initializer}
        self.readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in self.sources(node):
                self.readers[name].append(node)
        self.looped_at = set[str]().union(*(reads(node) for node in graph.node if list(bodies(node))))
        self.layers = [node for node in graph.node if self._is_layer(node)]
        joined = {node.output[0] for node in graph.node if node.op_type == "DepthToSpace"}
        self.cuts = {node.name for node in graph.node if node.op_type == CUT and node.input[0] in joined}

    def sources(self, node: onnx.NodeProto) -> list[str]:
        """The inputs of the node that the file does not store."""
        return [name for name in node.input if name and name not in self.stored]

    def follows(self, node: onnx.NodeProto) -> bool:
        """Whether the node computes on bytes where its inputs are bytes."""
        return node.op_type in FOLLOWING or node.name in self.cuts

    def layer(self, node: onnx.NodeProto) -> str:
        return str(node.input[1]).removesuffix(".weight")

    def _is_layer(self, node: onnx.NodeProto) -> bool:
        return node.op_type in LAYERS and node.name.startswith("net/") and self._weight(node) is not None

    def is_product(self, node: onnx.NodeProto) -> bool:
        """Whether the node multiplies rows by a stored matrix, not too narrow, and adds a bias at most."""
        weight = self._weight(node) if self._is_layer(node) else None
        given = {one.name: one for one in node.attribute}
        scaled = any(given[name].f != 1 for name in ("alpha", "beta") if name in given)
        columns = "transA" in given and given["transA"].i
        if node.op_type == "Conv" or weight is None or scaled or columns:
            return False
        return bool(min(weight.dims) >= FEWEST_OUTPUTS)

    def _weight(self, node: onnx.NodeProto) -> onnx.TensorProto | None:
        tensor = self.stored.get(node.input[1]) if len(node.input) > 1 else None
        return tensor if tensor is not None and len(tensor.dims) > 1 else None

    def stem(self) -> set[str]:
        """Names of the nodes that look at the picture's own channels, and of a depthwise convolution right
        behind with the projection behind that."""
        found = set[str]()
        for stem in self.layers:
            if not self._sees_picture(stem):
                continue
            found.add(stem.name)
            for depthwise in self._next(stem):
                if self._is_depthwise(depthwise):
                    found |= {depthwise.name, *(after.name for after in self._next(depthwise))}
        return found

    def _sees_picture(self, node: onnx.NodeProto) -> bool:
        weight = self._weight(node)
        assert weight is not None
        return node.op_type == "Conv" and weight.dims[1] * _groups(node) <= MOST_STEM_CHANNELS

    def _is_depthwise(self, node: onnx.NodeProto) -> bool:
        weight = self._weight(node)
        assert weight is not None
        return node.op_type == "Conv" and 1 < _groups(node) == weight.dims[0]

    def is_last(self, node: onnx.NodeProto) -> bool:
        """Whether no other layer makes something of the numbers of this one."""
        return next(self._next(node), None) is None

    def is_looped_at(self, node: onnx.NodeProto) -> bool:
        """Whether a loop or branch sees the numbers of this one; onnxruntime would move their dequantisation
        into it, and crash."""
        return any(name in self.looped_at for name in self._onward(node))

    def leads_to_loop(self, node: onnx.NodeProto) -> bool:
        """Whether what a loop or branch sees depends on the numbers of this one."""
        open_ends, seen = [*node.output], set[str]()
        while open_ends:
            if (name := open_ends.pop()) in self.looped_at:
                return True
            if name not in seen:
                seen.add(name)
                open_ends += (output for reader in self.readers[name] for output in reader.output)
        return False

    def _next(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """The layers that read what the node gives, be it through activations, pools and sums."""
        known = {one.name for one in self.layers}
        for name in self._onward(node):
            yield from (reader for reader in self.readers[name] if reader.name in known)

    def _onward(self, node: onnx.NodeProto) -> Iterator[str]:
        """What the node gives, and what becomes of it up to the next layers."""
        known = {one.name for one in self.layers}
        open_ends, seen = [*node.output], set[str]()
        while open_ends:
            name = open_ends.pop()
            if name in seen:
                continue
            seen.add(name)
            yield name
            for reader in self.readers[name]:
                # Boxes lead into RoiAlign, too, and they are an answer.
                passes = reader.op_type in SUMS or reader.input[0] == name
                moves = reader.op_type in PASSING or reader.name in self.cuts
                if reader.name not in known and moves and passes:
                    open_ends += reader.output


def is_transposed(node: onnx.NodeProto) -> bool:
    """Whether the weight of a product is [out, in]."""
    return any(attribute.name == "transB" and attribute.i for attribute in node.attribute)


def _groups(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
