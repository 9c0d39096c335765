"""The card: what a file says about where it comes from and how good it is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import tombola
from tombola.export.size import PartSize


def make_card(
    facts: Mapping[str, Any],
    *,
    parity: Mapping[str, Any],
    sizes: Sequence[PartSize],
    input_size_hw: tuple[int, int],
    half: bool,
) -> dict[str, Any]:
    """JSON-ready facts of a model file.

    facts: what only its maker knows: name, licence, data, protocol, metrics, lineage, in any JSON form; they
    come first. input_size_hw: the network's picture, or the square that holds it, in pixels.
    """
    weights = sum(part.weights for part in sizes)
    return {
        **facts,
        "input_size_hw": list(input_size_hw),
        "parity": dict(parity),
        "sizes": {
            "weights": weights,
            "sparsity": sum(part.zeros for part in sizes) / max(weights, 1),
            "stored_as": "float16, computed in float32" if half else "float32",
            "nbytes": {part.name: part.nbytes for part in sizes},
        },
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "tombola": tombola.__version__,
    }
