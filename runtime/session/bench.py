"""How fast a model file answers, how much memory it takes, and how much time is not the network's."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from tombola.runtime.contract.contract import Contract
from tombola.runtime.load import load
from tombola.runtime.session.memory import peak_memory_mib
from tombola.runtime.session.profile import outside_share
from tombola.runtime.tasks.difference import Arrays

WARM_UP_CALLS = 3
CALLS_PER_ROUND = 5


@dataclass(frozen=True)
class BenchResult:
    """One model's figures from its inputs in memory to its answer, decoding not counted.

    latency_p50_ms, latency_p95_ms: milliseconds of a call, median and 95th percentile, over `calls` calls.
    throughput_fps: answers a second, one call after the other.
    peak_memory_mib: most memory a fresh process held that loads the file and answers once; None where the
    operating system does not tell (no /proc).
    outside_share: 0..1, the share of the graph's time that nodes before and after the network take.
    """

    path: Path
    file_bytes: int
    device: str
    threads: int
    calls: int
    latency_p50_ms: float
    latency_p95_ms: float
    throughput_fps: float
    peak_memory_mib: float | None
    outside_share: float


def bench(
    models: Sequence[str | os.PathLike[str]],
    feeds_of: Callable[[Contract], Arrays],
    *,
    device: str = "auto",
    threads: int | None = None,
    rounds: int = 10,
) -> list[BenchResult]:
    """Measure each model on the inputs that `feeds_of` its contract gives; results in the order of `models`.

    A round is five calls of each model in turn, so that other load falls on all alike.
    Raises ModelError and DeviceError as `load` does.
    """
    loaded = [load(model, device, threads) for model in models]
    questions = [feeds_of(one.contract) for one in loaded]
    seconds = time_interleaved(
        [partial(one.answer, feeds) for one, feeds in zip(loaded, questions, strict=True)], rounds
    )
    results = []
    for model, one, feeds, times in zip(models, loaded, questions, seconds, strict=True):
        path = Path(model)
        results.append(
            BenchResult(
                path=path,
                file_bytes=path.stat().st_size,
                device=one.device,
                threads=one.threads,
                calls=len(times),
                latency_p50_ms=float(np.percentile(times, 50)) * 1e3,
                latency_p95_ms=float(np.percentile(times, 95)) * 1e3,
                throughput_fps=len(times) / sum(times),
                peak_memory_mib=peak_memory_mib(path, feeds, one.device, threads),
                outside_share=outside_share(path, one.prepared(feeds), one.device, threads),
            )
        )
    return results


def time_interleaved(calls: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Seconds of each call, one list for each of `calls`, `rounds` times CALLS_PER_ROUND long."""
    for call in calls:
        for _ in range(WARM_UP_CALLS):
            call()
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, times in zip(calls, seconds, strict=True):
            call()  # brings the weights back into the cache after the others' turns
            for _ in range(CALLS_PER_ROUND):
                started = perf_counter()
                call()
                times.append(perf_counter() - started)
    return seconds
