"""The card: what a file says about where it comes from and how good it is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import tombola
from tombola.export.graph.size import PartSize

# What the two figures compare: a chain of two links, so that neither hides the other.
STORED = "the file against the network with its weights as stored"
ROUNDED = "the network with its weights as stored against as trained"


def make_card(
    facts: Mapping[str, Any],
    *,
    parity: Mapping[str, Any],
    rounding: Mapping[str, Any] | None,
    sizes: Sequence[PartSize],
    input_size_hw: tuple[int, int] | None,
    input_sides: str | None = None,
    input_fit: str = "",
    input_frames: int | None = None,
) -> dict[str, Any]:
    """JSON-ready facts of a model file.

    facts: what only its maker knows: name, licence, data, protocol, metrics, lineage, in any JSON form; they
    come first. parity: how far the file is from the network it was made of. rounding: how far this is, with
    weights rounded to float16, from the network as trained; None where they were not rounded. input_size_hw:
    the network's picture, or the square that holds it, in pixels.
    """
    return {
        **facts,
        **({} if input_size_hw is None else {"input_size_hw": list(input_size_hw)}),
        **({} if input_sides is None else {"input_sides": input_sides}),
        **({"input_fit": input_fit} if input_fit else {}),
        **({} if input_frames is None else {"input_frames": input_frames}),
        "parity": {"of": STORED, **parity},
        **(
            {}
            if rounding is None
            else {"rounding": {"of": "its weights as stored against as trained", **rounding}}
        ),
        **storage(sizes, "float32" if rounding is None else "float16, computed in float32"),
    }


def storage(sizes: Sequence[PartSize], stored_as: str) -> dict[str, Any]:
    """The facts of every card that no other file has: sizes of its parts, and when it was made by what."""
    weights = sum(part.weights for part in sizes)
    return {
        "sizes": {
            "weights": weights,
            "sparsity": sum(part.zeros for part in sizes) / max(weights, 1),
            "stored_as": stored_as,
            "nbytes": {part.name: part.nbytes for part in sizes},
        },
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "tombola": tombola.__version__,
    }
