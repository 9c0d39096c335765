"""Where a model's time goes, node by node, as onnxruntime measures it."""

import json
import re
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tombola.runtime.load import ModelSource, read_model
from tombola.runtime.modelfile.graph import Node, read_graph
from tombola.runtime.session.session import open_session
from tombola.runtime.tasks.difference import Arrays

WARM_UP_RUNS = 3
RUNS = 10
_KERNEL = "_kernel_time"
_OWN_ORDER = "_nchwc"
_FUSED = "fused "  # before a node's name, if its activation was taken in
_WITH_BODIES = frozenset({"Loop", "Scan", "If"})
_TAKEN_IN = frozenset({"Relu", "LeakyRelu", "Clip", "HardSigmoid", "Sigmoid", "Tanh", "Add", "Sum"})

# Export names the nodes around the network so.
OUTSIDE_SCOPES = ("pre/", "post/")
# A node of a layer is called net/LAYER_N, and what onnxruntime made of it has an ending of its own.
_NODE = re.compile(r"(?P<name>(?:pre|net|post)/.+?)_\d+(?:_\D.*)?")
# What a network is made of, in onnxruntime's names after its own fusions.
LAYERS = frozenset(
    {
        "Conv", "FusedConv", "QLinearConv", "ConvInteger", "ConvTranspose",
        "Gemm", "FusedGemm", "QGemm", "MatMul", "FusedMatMul", "QLinearMatMul", "MatMulInteger",
    }
)  # fmt: skip


@dataclass(frozen=True)
class NodeTime:
    """One node of the graph as it ran: name, operator and mean microseconds of a run."""

    name: str
    op_type: str
    mean_us: float


def outside_share(
    model: ModelSource, feeds: Arrays, device: str = "auto", threads: int | None = None
) -> float:
    """The share, 0..1, of a run's node time that is spent before and after the network itself."""
    return share_outside(profile_nodes(model, feeds, device, threads))


def profile_nodes(
    model: ModelSource, feeds: Arrays, device: str = "auto", threads: int | None = None
) -> list[NodeTime]:
    """The nodes in the order they run, with their mean time over ten runs on the inputs `feeds`.

    Raises ModelError and DeviceError as `load` does; the model must have been checked by `load` before.
    """
    _, content = read_model(model)
    return _mean_times(run_events(content, feeds, device, threads, runs=WARM_UP_RUNS + RUNS))


def run_events(
    model: bytes,
    feeds: Arrays,
    device: str = "auto",
    threads: int | None = None,
    *,
    runs: int,
    optimised: bool = True,
) -> list[dict[str, Any]]:
    """What onnxruntime tells of each node each time it ran, in that order: its own "name", "dur" (µs) and
    "args" ("op_name", and shapes). optimised: fused as usual, or node by node as the file has it."""
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(
            model,
            device,
            threads,
            trial_feeds=lambda: feeds,
            profile_prefix=str(Path(folder) / "profile"),
            optimised=optimised,
        )
        for _ in range(runs):
            session.run(feeds)
        events = json.loads(Path(session.inference.end_profiling()).read_text())
    return [
        {**event, "name": str(event["name"]).removesuffix(_KERNEL)}
        for event in events
        if event.get("cat") == "Node" and str(event.get("name")).endswith(_KERNEL)
    ]


def layer_times_ms(
    model: bytes, feeds: Arrays, device: str = "auto", threads: int | None = None
) -> dict[str, float]:
    """Layer, by its name in the network, or kind of node outside of layers -> milliseconds of a run, in the
    order in which they first run: sums of each node's median over ten runs, as often as it runs in one; loops
    and branches by what is in them. Raises as `profile_nodes`."""
    events = run_events(model, feeds, device, threads, runs=WARM_UP_RUNS + RUNS)
    return _by_layer(events, read_graph(model).nodes)


def _by_layer(events: Sequence[dict[str, Any]], nodes: Sequence[Node]) -> dict[str, float]:
    spent_us: dict[str, list[float]] = {}
    for event in events:
        if event["args"].get("op_name") not in _WITH_BODIES:
            spent_us.setdefault(event["name"], []).append(float(event["dur"]))
    names = _own_names(spent_us, nodes)
    times_ms: dict[str, float] = {}
    for ran, times in spent_us.items():
        node = names.get(ran, ran).removeprefix(_FUSED)
        steps = max(1, round(len(times) / (WARM_UP_RUNS + RUNS)))
        found = _NODE.fullmatch(node)
        name = (found["name"] if found else node.split("_token_")[0]).removeprefix("net/")
        times_ms[name] = times_ms.get(name, 0.0) + steps * median(times[-RUNS * steps :]) / 1e3
    return times_ms


def _own_names(ran: Collection[str], nodes: Sequence[Node]) -> dict[str, str]:
    """What onnxruntime calls a convolution in its own order of maps, for the tensor that it writes -> the
    node's name; into it goes the activation behind it, and before that the sum."""
    made = {name: node for node in nodes for name in node.writes}
    names = {}
    for name in ran:
        node = made.get(name.removesuffix(_OWN_ORDER)) if name.endswith(_OWN_ORDER) else None
        while node is not None and node.op_type in _TAKEN_IN:
            # The other term of a sum has run under its own name.
            inner = [made[one] for one in node.reads if one in made and f"{one}{_OWN_ORDER}" not in ran]
            node = inner[-1] if inner else None
        if node is not None:
            names[name] = node.name
    return names


def share_outside(nodes: Sequence[NodeTime]) -> float:
    """The share of the nodes' time outside of the network.

    Outside are the nodes named pre/... and post/...; where a file names none so, those before the first and
    after the last convolution or matrix product.
    """
    total = sum(node.mean_us for node in nodes)
    if total == 0:
        return 0.0
    if any(node.name.startswith(OUTSIDE_SCOPES) for node in nodes):
        inside = sum(node.mean_us for node in nodes if not node.name.startswith(OUTSIDE_SCOPES))
    else:
        layers = [index for index, node in enumerate(nodes) if node.op_type in LAYERS]
        inside = sum(node.mean_us for node in nodes[layers[0] : layers[-1] + 1]) if layers else 0.0
    return 1.0 - inside / total


def _mean_times(events: Sequence[dict[str, Any]]) -> list[NodeTime]:
    """Mean over the runs after the warm-up, in order of running."""
    times: dict[tuple[str, str], list[float]] = {}
    for event in events:
        key = event["name"], str(event["args"].get("op_name"))
        times.setdefault(key, []).append(float(event["dur"]))
    return [NodeTime(name, op_type, sum(spent[-RUNS:]) / RUNS) for (name, op_type), spent in times.items()]
