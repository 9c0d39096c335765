"""Where a model's time goes, node by node, as onnxruntime measures it."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tombola.runtime.load import ModelSource, read_model
from tombola.runtime.session.session import open_session
from tombola.runtime.tasks.difference import Arrays

WARM_UP_RUNS = 3
RUNS = 10

# Export names the nodes around the network so.
OUTSIDE_SCOPES = ("pre/", "post/")
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
    with tempfile.TemporaryDirectory() as folder:
        prefix = str(Path(folder) / "profile")
        session = open_session(content, device, threads, trial_feeds=lambda: feeds, profile_prefix=prefix)
        for _ in range(WARM_UP_RUNS + RUNS):
            session.run(feeds)
        events = json.loads(Path(session.inference.end_profiling()).read_text())
    return _mean_times(events)


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


def _mean_times(events: list[dict[str, object]]) -> list[NodeTime]:
    """Mean over the runs after the warm-up, in order of running."""
    times: dict[tuple[str, str], list[float]] = {}
    for event in events:
        name, arguments = str(event.get("name")), event.get("args")
        if event.get("cat") == "Node" and name.endswith("_kernel_time") and isinstance(arguments, dict):
            key = name.removesuffix("_kernel_time"), str(arguments.get("op_name"))
            times.setdefault(key, []).append(float(str(event["dur"])))
    return [NodeTime(name, op_type, sum(spent[-RUNS:]) / RUNS) for (name, op_type), spent in times.items()]
