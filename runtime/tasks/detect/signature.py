"""What a detector's graph takes and gives, and what its answer must be."""

import numpy as np

from tombola.errors import ModelError
from tombola.runtime.tasks.difference import Arrays
from tombola.runtime.tasks.signature import IMAGE, Signature, TensorSpec

# Boxes that may hold an object, x1 y1 x2 y2 in pixels of the picture: what Fast R-CNN is given.
PROPOSALS = TensorSpec("proposals", "float32", ("k", 4))

DETECT = Signature(
    inputs=(IMAGE,),
    optional_inputs=(
        TensorSpec("score_threshold", "float32", (), least=0, most=1),
        TensorSpec("iou_threshold", "float32", (), least=0, most=1),
        TensorSpec("max_detections", "int64", (), least=1, most=2**31 - 1),
    ),
    outputs=(
        TensorSpec("boxes", "float32", ("n", 4)),
        TensorSpec("scores", "float32", ("n",)),
        TensorSpec("labels", "int64", ("n",)),
    ),
    more_inputs=(PROPOSALS,),
)


def check_detections(answer: Arrays, n_labels: int) -> None:
    """ModelError unless the answer is boxes float32 [n, 4], scores float32 [n] and labels int64 [n].

    All must be finite, and each label one of `n_labels`.
    """
    boxes_xyxy, scores, labels = answer["boxes"], answer["scores"], answer["labels"]
    if scores.ndim != 1 or boxes_xyxy.shape != (len(scores), 4) or labels.shape != scores.shape:
        raise ModelError(
            f"the answer is not [n, 4], [n] and [n] but {list(boxes_xyxy.shape)}, "
            f"{list(scores.shape)} and {list(labels.shape)}; export the model again."
        )
    if not (np.isfinite(boxes_xyxy).all() and np.isfinite(scores).all()):
        raise ModelError(
            "the answer holds numbers that are not finite (NaN or infinity): "
            "the model's weights are damaged; export again from a good checkpoint."
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < n_labels):
        raise ModelError(f"the answer has a class index outside of its {n_labels} labels.")
