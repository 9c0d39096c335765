"""How fast model files answer, how much memory they take, and how much time is not the network's."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tombola.runtime.contract.contract import Contract
from tombola.runtime.load import inspect_model
from tombola.runtime.session.contestant import Contestant
from tombola.runtime.tasks.difference import Arrays

CALLS_PER_ROUND = 5
RESAMPLES = 1000


@dataclass(frozen=True)
class BenchResult:
    """One model's figures from its inputs in memory to its answer, decoding not counted.

    latencies_ms: milliseconds of each call, CALLS_PER_ROUND a round.
    peak_memory_mib: most memory of its process up to the first answer; None where the operating system does
    not tell (no /proc).
    outside_share: 0..1, the share of the graph's time that nodes before and after the network take.
    macs: multiply-accumulates of the network for one answer. weights: how many numbers it stores.
    """

    path: Path
    file_bytes: int
    device: str
    threads: int
    latencies_ms: tuple[float, ...]
    peak_memory_mib: float | None
    outside_share: float
    macs: int
    weights: int

    @property
    def latency_p50_ms(self) -> float:
        """The median."""
        return float(np.percentile(self.latencies_ms, 50))

    @property
    def latency_p95_ms(self) -> float:
        """The 95th percentile."""
        return float(np.percentile(self.latencies_ms, 95))

    @property
    def throughput_fps(self) -> float:
        """Answers a second, one call after the other."""
        return 1e3 * len(self.latencies_ms) / sum(self.latencies_ms)


@dataclass(frozen=True)
class Speed:
    """How many times as fast one model answers as another, by medians; `low` to `high` is the middle 95 % of
    what other rounds like these would give (bootstrap)."""

    ratio: float
    low: float
    high: float


def bench(
    models: Sequence[str | os.PathLike[str]],
    feeds_of: Callable[[Contract], Arrays],
    *,
    device: str = "auto",
    threads: int | None = None,
    rounds: int = 10,
) -> list[BenchResult]:
    """Measure each model on the inputs that `feeds_of` its contract gives; results in the order of `models`.

    Each has a process of its own. A round is five calls of each model in turn, so that other load falls on
    all alike. Raises ModelError and DeviceError as `load` does.
    """
    paths = [Path(model) for model in models]
    known = [inspect_model(path) for path in paths]
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(closing(Contestant(path, feeds_of(contract), device, threads)))
            for path, (contract, _) in zip(paths, known, strict=True)
        ]
        starts = [one.start for one in contestants]
        times = in_turns([one.time for one in contestants], rounds)
        return [
            BenchResult(
                path=path,
                file_bytes=path.stat().st_size,
                latencies_ms=tuple(latencies_ms),
                outside_share=one.share_outside(),
                macs=one.macs(),
                weights=graph.weight_count,
                **start,
            )
            for path, (_, graph), one, start, latencies_ms in zip(
                paths, known, contestants, starts, times, strict=True
            )
        ]


def in_turns(timers: Sequence[Callable[[int], list[float]]], rounds: int) -> list[list[float]]:
    """What each timer tells of CALLS_PER_ROUND calls, round by round, one list for each timer."""
    times: list[list[float]] = [[] for _ in timers]
    for _ in range(rounds):
        for timer, latencies_ms in zip(timers, times, strict=True):
            latencies_ms += timer(CALLS_PER_ROUND)
    return times


def speed(latencies_ms: Sequence[float], base_ms: Sequence[float]) -> Speed:
    """How fast calls were against those of another model in the same rounds, as `bench` tells both."""
    own, other = (np.asarray(one).reshape(-1, CALLS_PER_ROUND) for one in (latencies_ms, base_ms))
    rng = np.random.default_rng(0)
    picked = rng.integers(0, len(own), (RESAMPLES, len(own)))
    ratios = _medians(other, picked) / _medians(own, picked)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return Speed(float(np.median(other) / np.median(own)), float(low), float(high))


def _medians(rounds: NDArray[np.float64], picked: NDArray[np.int64]) -> NDArray[np.float64]:
    """The median of each resample [resamples]; a round and its calls stay together."""
    return np.median(rounds[picked].reshape(len(picked), -1), axis=1)
