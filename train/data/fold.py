"""Folds: every n-th item of an ordered set, or all others."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError


def kept_ranks(count: int, folds: Sequence[str]) -> NDArray[np.int64]:
    """Return the ranks in 0 … count - 1 for which every fold holds, int64 [m], ascending, m >= 1.

    "k/n" holds where rank % n == k, "!k/n" where it does not. DataError if a fold is not of that form or
    nothing is left.
    """
    tests = [_fold_test(fold) for fold in folds]
    ranks = np.arange(count)
    kept = np.ones(count, np.bool_)
    for holds in tests:
        kept &= holds(ranks)
    if not kept.any():
        raise DataError(f"folds {', '.join(folds)} leave none of {count} pictures; choose a smaller n in k/n")
    return np.asarray(ranks[kept], np.int64)


def _fold_test(fold: str) -> Callable[[NDArray[np.int64]], NDArray[np.bool_]]:
    wanted = not fold.startswith("!")
    first, slash, second = fold.removeprefix("!").partition("/")
    if not (slash and first.isdecimal() and second.isdecimal() and int(first) < int(second)):
        raise DataError(f"fold {fold!r}: write k/n or !k/n with 0 <= k < n, for example 0/5")
    remainder, count = int(first), int(second)
    return lambda ranks: np.asarray((ranks % count == remainder) == wanted)
