"""How far two answers of a generator are apart."""

from collections.abc import Sequence

import numpy as np

from tombola.runtime.tasks.difference import Arrays, Difference

# A level on the edge between two may be rounded to either; few are.
LEVEL_TOLERANCE = 1.0
MEAN_LEVEL_TOLERANCE = 0.05
CODE_TOLERANCE = 1e-3


class GenerateYardstick:
    """Every pixel within a grey level, hardly any beside it, and every latent within 1e-3."""

    counted = "pictures"

    def count(self, answer: Arrays) -> int:
        return len(answer["images"])

    def headline(self, answer: Arrays, labels: Sequence[str]) -> str:  # noqa: ARG002
        images = answer["images"]
        return f"{len(images)} of mean {images.mean():.2f}" if images.size else "none"

    def describe(self, answer: Arrays) -> str:
        return f"pictures of the shape {list(answer['images'].shape)}"

    def differences(
        self, found: Arrays, wanted: Arrays, factor: float = 1.0
    ) -> tuple[Difference, ...] | None:
        if any(found[name].shape != wanted[name].shape for name in ("images", "codes")):
            return None
        levels = np.abs(found["images"].astype(np.int16) - wanted["images"].astype(np.int16))
        codes = float(np.abs(found["codes"] - wanted["codes"]).max(initial=0.0))
        mean = float(levels.mean()) if levels.size else 0.0
        return (
            Difference(
                "level_difference", "levels", float(levels.max(initial=0)), max(1.0, factor) * LEVEL_TOLERANCE
            ),
            Difference("mean_level_difference", "levels on average", mean, factor * MEAN_LEVEL_TOLERANCE),
            Difference("code_difference", "latents", codes, factor * CODE_TOLERANCE),
        )
