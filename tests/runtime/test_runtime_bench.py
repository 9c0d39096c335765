"""Figures: their arithmetic on made-up times, and one real run of the toy."""

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest

from tombola.errors import ModelError
from tombola.runtime.modelfile.graph import Node
from tombola.runtime.session import memory
from tombola.runtime.session.bench import CALLS_PER_ROUND, bench, in_turns, speed
from tombola.runtime.session.contestant import WARM_UP_CALLS, Contestant, Measured
from tombola.runtime.session.macs import count_macs, macs_of
from tombola.runtime.session.memory import own_peak_mib
from tombola.runtime.session.profile import (
    RUNS,
    WARM_UP_RUNS,
    NodeTime,
    _by_layer,
    profile_nodes,
    share_outside,
)
from tombola.runtime.session.threads import default_threads

FEEDS = {"image": np.zeros((48, 64, 3), np.uint8)}
has_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc on this system")


def test_share_by_the_scopes_that_export_writes() -> None:
    nodes = [
        NodeTime("pre/resize", "Resize", 10),
        NodeTime("backbone/conv", "Conv", 50),
        NodeTime("nms", "NonMaxSuppression", 10),
        NodeTime("head/fc", "Gemm", 15),
        NodeTime("post/scale", "Mul", 15),
    ]
    assert share_outside(nodes) == pytest.approx(0.25)


def test_share_by_position_where_no_scope_is_written() -> None:
    nodes = [
        NodeTime("a", "Resize", 10),
        NodeTime("b", "QLinearConv", 50),
        NodeTime("c", "NonMaxSuppression", 10),
        NodeTime("d", "FusedGemm", 10),
        NodeTime("e", "Mul", 20),
    ]
    assert share_outside(nodes) == pytest.approx(0.3)


def test_share_of_nothing() -> None:
    assert share_outside([]) == 0.0
    assert share_outside([NodeTime("a", "Conv", 0.0)]) == 0.0
    assert share_outside([NodeTime("a", "Mul", 3.0)]) == 1.0


def test_profile_lists_the_nodes_that_ran(toy_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy_path.parent)
    nodes = profile_nodes(toy_path, FEEDS, "cpu", 1)
    assert sum(node.op_type == "NonMaxSuppression" for node in nodes) == 1
    assert all(node.mean_us >= 0 for node in nodes)
    assert [entry.name for entry in toy_path.parent.iterdir()] == ["toy.onnx"]


def test_turns_are_interleaved_and_counted() -> None:
    turns: list[str] = []

    def timer(name: str, calls: int) -> list[float]:
        turns.append(name)
        return [float(len(turns))] * calls

    times = in_turns([partial(timer, name) for name in "ab"], rounds=3)
    assert "".join(turns) == "ababab"
    of_a, of_b = ([float(place) for place in range(first, 7, 2) for _ in range(5)] for first in (1, 2))
    assert times == [of_a, of_b]


def test_each_measurement_is_of_warm_calls(toy_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Measured(toy_path, FEEDS, "cpu", 1)
    asked = []
    monkeypatch.setattr(type(measured._model), "answer", lambda _, feeds: asked.append(feeds))
    assert len(measured.time(4)) == 4
    assert len(asked) == 5
    assert WARM_UP_CALLS >= 1


def test_speed_is_the_ratio_of_medians_and_sure_where_every_round_agrees() -> None:
    slow, fast = [20.0, 20, 20, 20, 90] * 6, [5.0, 5, 5, 5, 80] * 6
    found = speed(fast, slow)
    assert (found.ratio, found.low, found.high) == (4.0, 4.0, 4.0)
    unsteady = speed([5.0] * 15 + [20.0] * 15, slow)
    assert unsteady.low == 1.0
    assert unsteady.high == 4.0
    assert unsteady.low < unsteady.ratio < unsteady.high


def test_macs_by_hand() -> None:
    image, kernel, out = [1, 4, 9, 9], [8, 2, 3, 3], [1, 8, 7, 7]
    assert macs_of("Conv", [image, kernel, [8]], [out]) == 8 * 7 * 7 * 2 * 3 * 3
    assert macs_of("QLinearConv", [image, [], [], kernel], [out]) == 8 * 7 * 7 * 2 * 3 * 3
    assert macs_of("ConvTranspose", [[1, 8, 7, 7], [8, 4, 3, 3]], [image]) == 8 * 7 * 7 * 4 * 3 * 3
    assert macs_of("Gemm", [[5, 10], [10, 3], [3]], [[5, 3]]) == 5 * 10 * 3
    assert macs_of("Gemm", [[10, 5], [10, 3], [3]], [[5, 3]]) == 5 * 10 * 3
    assert macs_of("MatMul", [[2, 5, 10], [10, 3]], [[2, 5, 3]]) == 2 * 5 * 10 * 3
    assert macs_of("LSTM", [[6, 2, 3], [1, 16, 3], [1, 16, 4]], [[6, 1, 2, 4]]) == 6 * 2 * 16 * (3 + 4)
    assert macs_of("Add", [[5], [5]], [[5]]) == 0


def test_macs_of_a_run_count_each_step_of_a_loop_and_not_what_is_outside() -> None:
    text = """
    <ir_version: 9, opset_import: ["" : 20]>
    looped (float[2, 5] x, int64 steps) => (float[2, 5] y)
    <float[5, 5] w = {1,0,0,0,0, 0,1,0,0,0, 0,0,1,0,0, 0,0,0,1,0, 0,0,0,0,1}, bool go = {1}>
    {
      ready = MatMul (x, w)
      y = Loop (steps, go, ready) <body = body (int64 i, bool on, float[2, 5] a) => (bool more, float[2, 5] b)
      {
        more = Identity (on)
        b = MatMul (a, w)
      }>
    }
    """
    model = onnx.parser.parse_model(text)
    model.graph.node[0].name = "pre/first"
    feeds = {"x": np.ones((2, 5), np.float32), "steps": np.array(3)}
    assert count_macs(model.SerializeToString(), feeds, 1) == 3 * 2 * 5 * 5


def test_bench_of_the_toy(toy_path: Path) -> None:
    first, second = bench([toy_path, str(toy_path)], lambda _: FEEDS, device="cpu", threads=1, rounds=2)
    for result in (first, second):
        assert result.path == toy_path
        assert result.file_bytes == toy_path.stat().st_size
        assert (result.device, result.threads, len(result.latencies_ms)) == ("cpu", 1, 2 * CALLS_PER_ROUND)
        assert (result.macs, result.weights) == (0, 39)
        assert 0 < result.latency_p50_ms <= result.latency_p95_ms
        assert result.throughput_fps > 0
        assert result.outside_share == 1.0  # the toy has no network in it
        if Path("/proc/self/status").exists():
            assert result.peak_memory_mib is not None
            assert 20 < result.peak_memory_mib < 1000


@has_proc
def test_memory_grows_with_what_is_held() -> None:
    before = own_peak_mib()
    held = np.ones(64 * 1024 * 1024, np.uint8)
    after = own_peak_mib()
    assert before is not None
    assert after is not None
    assert after >= before
    assert after >= held.nbytes / 2**20


def test_a_model_that_fails_in_its_process(toy_path: Path) -> None:
    contestant = Contestant(toy_path.with_name("gone.onnx"), FEEDS, "cpu", 1)
    with closing(contestant), pytest.raises(ModelError, match=r"gone\.onnx: no such file"):
        contestant.time(1)


def test_memory_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    assert own_peak_mib() is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's description of its processors")
def test_threads_follow_cores_affinity_and_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    from tombola.runtime.session import threads

    cores = {0: "0,4", 1: "1,5", 2: "2,6", 3: "3,7", 4: "0,4", 5: "1,5", 6: "2,6", 7: "3,7"}
    monkeypatch.setattr(threads, "_siblings", cores.__getitem__)
    monkeypatch.setattr(threads, "_quota", lambda: 99)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert default_threads() == 4
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 4, 1})
    assert default_threads() == 2
    monkeypatch.setattr(threads, "_quota", lambda: 1)
    assert default_threads() == 1


@pytest.mark.parametrize(
    ("content", "cpus"),
    [("150000 100000\n", 1), ("400000 100000\n", 4), ("50000 100000\n", 1), ("max 100000\n", 65536)],
)
def test_quota_of_a_container(
    content: str, cpus: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tombola.runtime.session import threads

    (tmp_path / "cpu.max").write_text(content)
    monkeypatch.setattr(threads, "CPU_MAX", tmp_path / "cpu.max")
    assert threads._quota() == cpus


def ran(
    names: Sequence[str], runs: int = WARM_UP_RUNS + RUNS, *, op_type: str = "Conv"
) -> list[dict[str, Any]]:
    """Events of nodes that take 1, 2, 3, … ms, and once much longer."""
    return [
        {
            "name": name,
            "dur": 1000 * (place + 1) + (900_000 if run == runs // 2 else 0),
            "args": {"op_name": op_type},
        }
        for run in range(runs)
        for place, name in enumerate(names)
    ]


def test_the_time_of_a_layer_is_that_of_its_nodes() -> None:
    names = (
        "pre/Resize_0",
        "net/stem.0_0_nchwc",
        "net/stem.0_1_nchwc",
        "ReorderOutput_token_7",
        "ReorderOutput",
        "fused net/last_0",
    )
    told = {"pre/Resize": 1.0, "stem.0": 2.0 + 3.0, "ReorderOutput": 4.0 + 5.0, "last": 6.0}
    assert _by_layer(ran(names), ()) == told


def test_a_step_of_a_loop_counts_as_often_as_it_runs() -> None:
    names = ["net/gate_0", "net/cell_0"]
    events = [*ran(names, 5 * (WARM_UP_RUNS + RUNS)), *ran(["net/Loop_0"], op_type="Loop")]
    assert _by_layer(events, ()) == {"gate": 5.0, "cell": 10.0}


def test_a_layer_that_was_fused_keeps_its_name() -> None:
    def node(name: str, op_type: str, reads: tuple[str, ...], writes: str) -> Node:
        return Node(name, op_type, "", (), reads, (writes,))

    nodes = [
        node("net/stem_0", "Conv", ("image",), "a"),
        node("net/stem.activation_0", "Clip", ("a",), "b"),
        node("net/shortcut_0", "Conv", ("b",), "c"),
        node("net/body_0", "Conv", ("b",), "d"),
        node("net/sum_0", "Add", ("d", "c"), "e"),
        node("net/relu_0", "Relu", ("e",), "f"),
        node("net/up_0", "Resize", ("f",), "g"),
    ]
    names = ("b_nchwc", "c_nchwc", "f_nchwc", "g_nchwc", "strange_nchwc")
    told = {"stem": 1.0, "shortcut": 2.0, "body": 3.0, "up": 4.0, "strange_nchwc": 5.0}
    assert _by_layer(ran(names), nodes) == told
