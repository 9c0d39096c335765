"""How fast a model file answers, how much memory it takes, and how much time is not the network's."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from tombola.runtime.load import load
from tombola.runtime.session.memory import peak_memory_mib
from tombola.runtime.session.profile import outside_share

WARM_UP_CALLS = 3
CALLS_PER_ROUND = 5


@dataclass(frozen=True)
class BenchResult:
    """One model's figures from one frame in memory to its answer, decoding not counted.

    latency_p50_ms, latency_p95_ms: milliseconds of a call, median and 95th percentile, over `calls` calls.
    throughput_fps: frames a second, one call after the other.
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
    image_rgb_u8: NDArray[np.uint8],
    *,
    device: str = "auto",
    threads: int | None = None,
    rounds: int = 10,
) -> list[BenchResult]:
    """Measure each model on one frame, uint8 [height, width, 3] RGB; results in the order of `models`.

    A round is five calls of each model in turn, so that other load falls on all alike.
    Raises ModelError and DeviceError as `load` does.
    """
    loaded = [load(model, device, threads) for model in models]
    seconds = time_interleaved(loaded, image_rgb_u8, rounds)
    height, width = image_rgb_u8.shape[:2]
    results = []
    for model, one, times in zip(models, loaded, seconds, strict=True):
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
                peak_memory_mib=peak_memory_mib(path, (height, width), one.device, threads),
                outside_share=outside_share(path, image_rgb_u8, one.device, threads),
            )
        )
    return results


def time_interleaved(
    models: Sequence[Callable[[NDArray[np.uint8]], object]], image_rgb_u8: NDArray[np.uint8], rounds: int
) -> list[list[float]]:
    """Seconds of each call, one list for each model, `rounds` times CALLS_PER_ROUND long."""
    for model in models:
        for _ in range(WARM_UP_CALLS):
            model(image_rgb_u8)
    seconds: list[list[float]] = [[] for _ in models]
    for _ in range(rounds):
        for model, times in zip(models, seconds, strict=True):
            model(image_rgb_u8)  # brings the weights back into the cache after the others' turns
            for _ in range(CALLS_PER_ROUND):
                started = perf_counter()
                model(image_rgb_u8)
                times.append(perf_counter() - started)
    return seconds
