"""Latents: drawn from a seed, and a way between them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def draw(seed: int, latent_size: int, count: int, at_once: int) -> Iterator[NDArray[np.float32]]:
    """Standard normal latents float32 [up to at_once, latent_size], `count` in all, by numpy's PCG64.

    The first of a seed are the same however many follow.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    for start in range(0, count, at_once):
        yield rng.standard_normal((min(at_once, count - start), latent_size), np.float32)


def slerp(start: NDArray[np.float32], end: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """float32 [count, d]: from `start` [d] to `end` [d] on a great circle (Shoemake 1985), the length going
    evenly from one's to the other's, so that what lies between is as likely as both."""
    shares = np.linspace(0, 1, count, dtype=np.float64)[:, None]
    one, other = (np.asarray(v, np.float64) for v in (start, end))
    lengths = [max(float(np.linalg.norm(v)), 1e-12) for v in (one, other)]
    one, other = one / lengths[0], other / lengths[1]
    # As exact for nearly equal and nearly opposite directions as for others, which arccos is not.
    angle = 2 * float(np.arctan2(np.linalg.norm(one - other), np.linalg.norm(one + other)))
    if np.sin(angle) < 1e-6:  # one direction, or opposite ones, between which there is no shortest way
        ways = (1 - shares) * one + shares * other
    else:
        ways = (np.sin((1 - shares) * angle) * one + np.sin(shares * angle) * other) / np.sin(angle)
    return (ways * ((1 - shares) * lengths[0] + shares * lengths[1])).astype(np.float32)
