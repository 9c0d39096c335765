"""What a captioner's graph takes and gives, and what its answer must be."""

import numpy as np

from tombola.errors import ModelError
from tombola.runtime.tasks.difference import Arrays
from tombola.runtime.tasks.signature import FRAMES, IMAGE, Signature, TensorSpec

# The token that ends a caption, and what stands for it in the vocabulary.
END, END_SIGN = 0, "<end>"

# Files that look at clips are fed `frames`; their attention has a row for each frame that they look at, and
# one column.
CAPTION = Signature(
    inputs=(IMAGE,),
    optional_inputs=(
        TensorSpec("beam_size", "int64", (), least=1, most=100),
        TensorSpec("max_length", "int64", (), least=1, most=200),
        TensorSpec("length_power", "float32", (), least=0, most=4),
        TensorSpec("no_repeat", "int64", (), least=0, most=200),
    ),
    outputs=(
        TensorSpec("tokens", "int64", ("captions", "length")),
        TensorSpec("scores", "float32", ("captions",)),
        TensorSpec("attention", "float32", ("length", "rows", "columns")),
    ),
    labels="absent",
    vocabulary="required",
    more_inputs=(FRAMES,),
)


def check_captions(answer: Arrays, _: int = 0) -> None:
    """ModelError unless the answer is tokens int64 [captions, length] from 0 up, at least one caption, finite
    scores float32 [captions] and attention float32 [length, rows, columns]."""
    tokens, scores, attention = answer["tokens"], answer["scores"], answer["attention"]
    if (
        tokens.ndim != 2
        or not tokens.size
        or scores.shape != tokens.shape[:1]
        or attention.ndim != 3
        or attention.shape[0] != tokens.shape[1]
    ):
        raise ModelError(
            "the answer is not [captions, length], [captions] and [length, rows, columns] but "
            f"{list(tokens.shape)}, {list(scores.shape)} and {list(attention.shape)}; export the model again."
        )
    if not (np.isfinite(scores).all() and np.isfinite(attention).all()):
        raise ModelError(
            "the answer holds numbers that are not finite (NaN or infinity): "
            "the model's weights are damaged; export again from a good checkpoint."
        )
    if tokens.min() < 0:
        raise ModelError(f"the answer has the token {tokens.min()}; export the model again.")
