"""Two labelled pictures laid over each other (Zhang et al. 2018, mixup; for boxes as Zhang et al. 2019 do
it)."""

import numpy as np

from tombola.train.data.augment.window import Sample

# Both pictures stay visible: nine in ten weights lie between 0.4 and 0.6.
BETA = 32.0


def mixup(first: Sample, second: Sample, *, rng: np.random.Generator) -> Sample:
    """Blend two samples whose pictures have the same size by a weight from Beta(32, 32); the boxes of both
    hold."""
    weight = rng.beta(BETA, BETA)
    blend = first[0] * np.float32(weight) + second[0] * np.float32(1 - weight)
    return (
        np.round(blend).astype(np.uint8),
        np.concatenate([first[1], second[1]]),
        np.concatenate([first[2], second[2]]),
        np.concatenate([first[3], second[3]]),
    )
