"""What a classifier's graph takes and gives, and what its answer must be."""

import numpy as np
from numpy.typing import NDArray

from tombola.errors import ModelError
from tombola.runtime.tasks.difference import Arrays
from tombola.runtime.tasks.signature import FRAMES, IMAGE, Signature, TensorSpec

SUM_TOLERANCE = 1e-2  # probabilities of many classes, each rounded, miss 1 by a little

# Files that look at clips are fed `frames`; those that name each frame answer `frame_probabilities` too, and
# `probabilities` are the mean of these.
CLASSIFY = Signature(
    inputs=(IMAGE,),
    optional_inputs=(),
    outputs=(TensorSpec("probabilities", "float32", ("classes",)),),
    more_inputs=(FRAMES,),
    more_outputs=(
        TensorSpec("attention", "float32", ("rows", "columns")),
        TensorSpec("frame_probabilities", "float32", ("n", "classes")),
    ),
)


def check_probabilities(answer: Arrays, n_labels: int) -> None:
    """ModelError unless the answer is a probability for each label, float32 [labels], their sum 1; and where
    there are any, attention float32 [rows, columns], finite, and such a row for each of n frames."""
    probabilities = answer["probabilities"]
    rows = answer.get("frame_probabilities", probabilities[None])
    if probabilities.shape != (n_labels,) or rows.ndim != 2 or rows.shape[1:] != (n_labels,):
        raise ModelError(
            f"the answer is not [{n_labels}], one probability for each label, but "
            f"{list(probabilities.shape)}, or {list(rows.shape)} for frames; export the model again."
        )
    for row in (probabilities, *rows):
        _check_row(row)
    attention = answer.get("attention", np.ones((1, 1)))
    if attention.ndim != 2 or not attention.size or not np.isfinite(attention).all():
        raise ModelError(
            f"the attention {list(attention.shape)} is not finite numbers [rows, columns]; export the model "
            "again."
        )


def _check_row(probabilities: NDArray[np.float32]) -> None:
    if not np.isfinite(probabilities).all():
        raise ModelError(
            "the answer holds numbers that are not finite (NaN or infinity): "
            "the model's weights are damaged; export again from a good checkpoint."
        )
    total = float(probabilities.sum(dtype=np.float64))
    if probabilities.min() < 0 or abs(total - 1) > SUM_TOLERANCE:
        raise ModelError(
            f"the answer is not probabilities: the least is {probabilities.min():g} and "
            f"their sum {total:g}; a softmax is missing, so export the model again."
        )
