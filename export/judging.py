"""How good made pictures are, in the eyes of a classifier: what `tombola evaluate` tells of a generator."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from tombola.errors import DataError, ModelError
from tombola.export.parity.probes import open_session
from tombola.runtime.load import inspect_model
from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.evaluate import MakePictures
from tombola.train.metrics.frechet import frechet_distance, precision_recall
from tombola.train.tasks.task import Tell, silent

LAST_LAYER = "head.weight"


@dataclass(frozen=True)
class Judged:
    """Pictures of one origin against real ones.

    pictures: how many. frechet: the Fréchet distance of the judge's features. precision, recall: 0..1.
    right_class: the share of pictures that the judge takes for what they should be; None where nothing says
    what.
    """

    origin: str
    pictures: int
    frechet: float
    precision: float
    recall: float
    right_class: float | None


class Judge:
    """A classifier's file that tells of a picture what its last layer is given, too."""

    def __init__(self, path: Path) -> None:
        """ModelError for a file of another task, or one whose last layer cannot be found."""
        contract, _ = inspect_model(path)
        if contract.task != "classify":
            raise ModelError(f"{path}: its task is {contract.task}; a judge is a classifier.")
        model = onnx.load(path)
        wide = f"{LAST_LAYER}/float32"
        last = [node for node in model.graph.node if {LAST_LAYER, wide} & set(node.input)]
        layer = next((node for node in last if node.op_type != "Cast"), None)
        if layer is None:
            raise ModelError(f"{path}: has no layer {LAST_LAYER!r}; export the classifier again.")
        self.labels = contract.labels
        self._names = [layer.input[0], "probabilities"]
        features = onnx.helper.make_tensor_value_info(layer.input[0], onnx.TensorProto.FLOAT, None)
        model.graph.output.append(features)
        self._session = open_session(model)

    def look(self, image_u8: NDArray[np.uint8]) -> tuple[NDArray[np.float32], int]:
        """A picture uint8 [h, w, 1 or 3] -> its features float32 [d], and the label that it is taken for."""
        image_rgb_u8 = np.ascontiguousarray(np.broadcast_to(image_u8, (*image_u8.shape[:2], 3)))
        features, probabilities = self._session.run(self._names, {"image": image_rgb_u8})
        return features[0], int(probabilities.argmax())


def judge_pictures(
    judge: Judge, real: ClassificationSet, make: MakePictures, *, tell: Tell = silent
) -> list[Judged]:
    """Made pictures against a half of the real ones; and, for what the figures mean, the other half against
    it, and noise. As many of each, for the distance depends on it.

    The labels of both are the judge's. Raises DataError for fewer real pictures than eight.
    """
    count = len(real) // 2
    if count < 4:
        raise DataError(f"{len(real)} pictures are too few to judge others by; give eight or more")
    order = np.random.default_rng(0).permutation(len(real)).tolist()
    made, labels = make(count)
    noise = np.random.default_rng(1).integers(0, 256, made.shape, np.uint8)
    done = 0

    def look(images: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        nonlocal done
        seen = []
        for image in images:
            seen.append(judge.look(image))
            done += 1
            tell(done, 4 * count)
        return np.stack([features for features, _ in seen]), np.array([label for _, label in seen])

    halves = [[real.read(index) for index in half] for half in (order[:count], order[count : 2 * count])]
    truths, _ = look(halves[0])
    judged = []
    for origin, images, wanted in (
        ("made", list(made), labels),
        ("real", halves[1], real.labels[order[count : 2 * count]]),
        ("noise", list(noise), None),
    ):
        features, found = look(images)
        precision, recall = precision_recall(truths, features)
        right = None if wanted is None else float((found == wanted).mean())
        distance = frechet_distance(truths, features)
        judged.append(Judged(origin, count, distance, precision, recall, right))
    return judged
