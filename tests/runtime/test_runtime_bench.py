"""Figures: their arithmetic on made-up times, and one real run of the toy."""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tombola.errors import ModelError
from tombola.runtime.session import memory
from tombola.runtime.session.bench import CALLS_PER_ROUND, WARM_UP_CALLS, bench, time_interleaved
from tombola.runtime.session.memory import own_peak_mib, peak_memory_mib
from tombola.runtime.session.profile import NodeTime, profile_nodes, share_outside
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
    seconds = time_interleaved([partial(turns.append, name) for name in "ab"], rounds=3)
    assert [len(times) for times in seconds] == [3 * CALLS_PER_ROUND] * 2
    block = CALLS_PER_ROUND + 1
    assert "".join(turns) == "a" * WARM_UP_CALLS + "b" * WARM_UP_CALLS + ("a" * block + "b" * block) * 3


def test_bench_of_the_toy(toy_path: Path) -> None:
    first, second = bench([toy_path, str(toy_path)], lambda _: FEEDS, device="cpu", threads=1, rounds=2)
    for result in (first, second):
        assert result.path == toy_path
        assert result.file_bytes == toy_path.stat().st_size
        assert (result.device, result.threads, result.calls) == ("cpu", 1, 2 * CALLS_PER_ROUND)
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


@has_proc
def test_memory_of_a_model_that_fails(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.onnx: no such file"):
        peak_memory_mib(tmp_path / "gone.onnx", FEEDS)


def test_memory_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    assert own_peak_mib() is None
    assert peak_memory_mib(tmp_path / "gone.onnx", FEEDS) is None


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
