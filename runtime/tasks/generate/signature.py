"""What a generator's graph takes and gives, and what its answer must be."""

import numpy as np

from tombola.errors import ModelError
from tombola.runtime.tasks.difference import Arrays
from tombola.runtime.tasks.signature import IMAGE, Signature, TensorSpec

# Files of conditional generators are fed `label`. Files that also encode are fed `image` and `encode`: where
# this is 1, latents are made of the picture and those that are fed count for their number alone. Files that
# fill in what a picture lacks are fed `missing`, 255 where it does.
GENERATE = Signature(
    inputs=(TensorSpec("latents", "float32", ("n", "latent_size")),),
    optional_inputs=(),
    outputs=(
        TensorSpec("images", "uint8", ("n", "height", "width", "channels")),
        TensorSpec("codes", "float32", ("n", "latent_size")),
    ),
    labels="optional",
    more_inputs=(
        TensorSpec("label", "int64", ("n",)),
        IMAGE,
        TensorSpec("encode", "int64", (), least=0, most=1),
        TensorSpec("missing", "uint8", ("height", "width"), least=0, most=255),
    ),
    sides=("latent_size",),
)


def check_pictures(answer: Arrays, n_labels: int) -> None:  # noqa: ARG001  # labels are no part of it
    """ModelError unless the answer is pictures uint8 [n, h, w, 1 or 3], and as many finite codes."""
    images, codes = answer["images"], answer["codes"]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or images.dtype != np.uint8:
        raise ModelError(
            f"the answer is not pictures uint8 [n, height, width, 1 or 3], but {images.dtype} "
            f"{list(images.shape)}; export the model again."
        )
    if codes.ndim != 2 or len(codes) != len(images):
        raise ModelError(
            f"the answer has {len(images)} pictures and codes of the shape {list(codes.shape)}; export the "
            "model again."
        )
    if not np.isfinite(codes).all():
        raise ModelError(
            "the answer holds latents that are not finite (NaN or infinity): the model's weights are "
            "damaged, or the latents that were given; export again from a good checkpoint."
        )
