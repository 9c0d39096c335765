"""A graph with all that lies inside it: the bodies of loops and scans, the branches of conditions."""

from collections.abc import Iterator

import onnx


def walk(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """`graph` itself, then each graph inside it, outer before inner."""
    yield graph
    for node in graph.node:
        for body in bodies(node):
            yield from walk(body)


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node holds: the body of a Loop, both branches of an If."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def with_inner(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """The node, then the nodes of its bodies."""
    yield node
    for body in bodies(node):
        for inner in body.node:
            yield from with_inner(inner)


def reads(node: onnx.NodeProto) -> set[str]:
    """What a node needs to be computed before it: its inputs, and what its bodies take from outside."""
    return set(node.input).union(*map(_outer_reads, bodies(node)))


def _outer_reads(body: onnx.GraphProto) -> set[str]:
    own = {value.name for value in (*body.input, *body.initializer)}
    needed = {value.name for value in body.output}
    for node in body.node:
        needed |= reads(node)
        own.update(node.output)
    return needed - own


def rename_reads(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Let every node of `graph`, those of its bodies too, read `names[name]` where it read `name`."""
    for part in walk(graph):
        for node in part.node:
            node.input[:] = [names.get(name, name) for name in node.input]


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Order the nodes of `graph`: each behind those whose outputs it reads, otherwise as now."""
    made = {name for node in graph.node for name in node.output}
    waiting = [(node, reads(node) & made) for node in graph.node]
    done, nodes = set[str](), []
    while waiting:
        later = []
        for node, needed in waiting:
            if needed <= done:
                nodes.append(node)
                done.update(node.output)
            else:
                later.append((node, needed))
        assert len(later) < len(waiting), "a circle of nodes"
        waiting = later
    del graph.node[:]
    graph.node.extend(nodes)
