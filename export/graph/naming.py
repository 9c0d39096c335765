"""Names of nodes that tell which part of the way they are: `pre/`, `net/` or `post/`.

A profile of the file can then say how much time is spent outside the network, and a reader finds a layer by
the name it had in PyTorch.
"""

from collections import Counter, defaultdict

import onnx

from tombola.export.graph.walk import reads, rename_reads, walk, with_inner


def name_nodes(graph: onnx.GraphProto, *, prefix: str = "network.") -> None:
    """Rename the nodes of a graph, and its weights by leaving out their `prefix`.

    pre:  all that the first layer with weights needs: sizes, resize, normalisation, padding.
    post: what makes the answer out of the network's numbers, with the arithmetic that only this reads: the
          last NonMaxSuppression, or without one the last Softmax, and all that follows.
    net:  the rest, a detector's proposals included.
    After that comes the layer whose weights the node holds, or else its operator, and a number. The nodes of
    a loop or a branch are of the part that it is of itself.
    """
    _shorten_weights(graph, prefix)
    layers = {
        tensor.name
        for inner in walk(graph)
        for tensor in inner.initializer
        if tensor.name.endswith(".weight")
    }
    count: Counter[str] = Counter()
    for outer, part in zip(graph.node, _parts(graph, layers), strict=True):
        for node in with_inner(outer):
            layer = next((name for name in node.input if name in layers), None)
            name = layer.removesuffix(".weight") if layer else node.op_type
            node.name = f"{part}/{name}_{count[name]}"
            count[name] += 1


def _holds(node: onnx.NodeProto, layers: set[str]) -> bool:
    """Whether the node reads one of `layers`, be it inside a body."""
    return any(not layers.isdisjoint(inner.input) for inner in with_inner(node))


def _parts(graph: onnx.GraphProto, layers: set[str]) -> list[str]:
    """`pre`, `net` or `post` for each node, in order; the nodes are sorted, inputs before their readers."""
    first = next(i for i, node in enumerate(graph.node) if _holds(node, layers))
    kinds = [{inner.op_type for inner in with_inner(node)} for node in graph.node]
    answers = "NonMaxSuppression" if any("NonMaxSuppression" in kind for kind in kinds) else "Softmax"
    last = max((i for i, kind in enumerate(kinds) if answers in kind), default=None)
    producer = {name: i for i, node in enumerate(graph.node) for name in node.output}
    sources = [[producer[name] for name in reads(node) if name in producer] for node in graph.node]
    readers: dict[int, list[int]] = defaultdict(list)
    for i, feeding in enumerate(sources):
        for source in feeding:
            readers[source].append(i)

    def reached(start: int, neighbours: dict[int, list[int]]) -> set[int]:
        found, open_ends = set(), [start]
        while open_ends:
            i = open_ends.pop()
            if i not in found:
                found.add(i)
                open_ends += neighbours[i]
        return found

    pre = reached(first, dict(enumerate(sources))) - {first}
    net = reached(first, readers)
    # A loop that holds weights is the network's, whatever it ends with.
    held = {i for i, node in enumerate(graph.node) if _holds(node, layers)}
    post = reached(last, readers) - held if last is not None else set()
    parts = ["pre" if i in pre else "post" if i in post else "net" for i in range(len(graph.node))]
    # Arithmetic on picture sizes and thresholds hangs on no layer; it belongs to whoever reads it.
    for i in reversed(range(len(parts))):
        if parts[i] == "net" and i not in net and readers[i] and all(parts[r] == "post" for r in readers[i]):
            parts[i] = "post"
    return parts


def _shorten_weights(graph: onnx.GraphProto, prefix: str) -> None:
    short = {
        tensor.name: tensor.name.removeprefix(prefix)
        for inner in walk(graph)
        for tensor in inner.initializer
        if tensor.name.startswith(prefix)
    }
    rename_reads(graph, short)
    for inner in walk(graph):
        for tensor in (*inner.initializer, *inner.output):
            tensor.name = short.get(tensor.name, tensor.name)
