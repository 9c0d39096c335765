"""How near made pictures are to real ones, by features of both: float [n, d], a row a picture."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError

Features = NDArray[np.floating]

NEIGHBOURS = 3
ROWS_AT_ONCE = 512


def frechet_distance(one: Features, other: Features) -> float:
    """‖μ - μ'‖² + tr(C + C' - 2 (C C')^½), the Fréchet distance of two Gaussians with the features' means and
    covariances (Heusel et al. 2017, equation 6). With features of another network than Inception it is no
    FID, and with few pictures it is too large.

    Raises DataError for fewer pictures than two.
    """
    if min(len(one), len(other)) < 2:
        raise DataError("a Fréchet distance needs two pictures or more on each side; make more")
    first, second = _covariance(one), _covariance(other)
    shared = np.sqrt(np.linalg.eigvals(first @ second).real.clip(min=0)).sum()
    apart = np.square(np.mean(one, axis=0, dtype=np.float64) - np.mean(other, axis=0, dtype=np.float64)).sum()
    return float(apart + np.trace(first) + np.trace(second) - 2 * shared)


def _covariance(features: Features) -> NDArray[np.float64]:
    return np.asarray(np.atleast_2d(np.cov(np.asarray(features, np.float64), rowvar=False)), np.float64)


def precision_recall(real: Features, made: Features, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Shares 0..1 (Kynkäänniemi et al. 2019, equation 1): of the made pictures that lie among the real ones,
    and of the real ones that lie among the made. A picture lies among others where it is nearer to one of
    them than this one's third neighbour among its own.

    Raises DataError for no more pictures than neighbours.
    """
    if min(len(real), len(made)) <= neighbours:
        raise DataError(f"precision and recall need more than {neighbours} pictures on each side; make more")
    return _share_among(made, real, neighbours), _share_among(real, made, neighbours)


def _share_among(asked: Features, others: Features, neighbours: int) -> float:
    others = np.asarray(others, np.float32)
    radii = np.concatenate(
        [
            np.partition(distances, neighbours, axis=1)[:, neighbours]  # the nearest is the picture itself
            for distances in _squared_distances(others, others)
        ]
    )
    inside = [(distances <= radii).any(axis=1) for distances in _squared_distances(asked, others)]
    return float(np.concatenate(inside).mean())


def _squared_distances(rows: Features, columns: Features) -> Iterator[NDArray[np.float32]]:
    """float32 [up to ROWS_AT_ONCE, len(columns)] for the rows in turn."""
    squares = np.square(columns).sum(1)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = np.asarray(rows[start : start + ROWS_AT_ONCE], np.float32)
        yield (np.square(some).sum(1)[:, None] + squares - 2 * some @ columns.T).clip(min=0)
