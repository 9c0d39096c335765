"""How a classifier errs, as pictures: the confusion matrix and the worst mistakes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tombola.train.data.augment.placing import limit_side
from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.drawing.confusion_matrix import confusion_matrix_png
from tombola.train.drawing.figure import INK, brief, new_figure, to_png
from tombola.train.metrics.classification import count_confusions
from tombola.train.tasks.task import Exhibit

MOST_MISTAKES = 18
TILES_ACROSS = 3
TILE_PX = 480  # twice what is drawn; a page of whole photos would take gigabytes


def classify_exhibits(data: ClassificationSet, probabilities: NDArray[np.float32]) -> list[Exhibit]:
    """The confusion matrix, and the worst mistakes if there are any.

    probabilities float32 [n, classes], one row for each picture of `data`.
    """
    guessed = probabilities.argmax(axis=1)
    matrix = count_confusions(data.labels, guessed, len(data.classes))
    exhibits = [
        Exhibit(
            "Confusion matrix", _tell_matrix(matrix, data.classes), confusion_matrix_png(matrix, data.classes)
        )
    ]
    wrong = np.flatnonzero(guessed != data.labels)
    if len(wrong):
        # Worst is what was surest of the wrong and least of the right.
        margin = probabilities[wrong, guessed[wrong]] - probabilities[wrong, data.labels[wrong]]
        worst = wrong[np.argsort(-margin, kind="stable")[:MOST_MISTAKES]]
        sentence = (
            f"{len(wrong)} of {len(data)} validation pictures are answered wrongly; these {len(worst)} are "
            "furthest from right: surest of the wrong class and least sure of their own. Above each: what it "
            "is, and what the network says. A wrong label is as "
            "likely here as a hard picture."
        )
        png = worst_mistakes_png(
            [limit_side(data.read(int(index)), TILE_PX) for index in worst],
            [data.classes[label] for label in data.labels[worst]],
            [data.classes[label] for label in guessed[worst]],
            probabilities[worst, guessed[worst]].tolist(),
        )
        exhibits.append(Exhibit("Worst mistakes", sentence, png))
    return exhibits


def worst_mistakes_png(
    images_rgb_u8: Sequence[NDArray[np.uint8]],
    true: Sequence[str],
    guessed: Sequence[str],
    probabilities: Sequence[float],
) -> bytes:
    """PNG bytes: a grid of pictures uint8 [h, w, 3] of any size, each with its class, the guessed one and
    that one's probability."""
    down = -(-len(images_rgb_u8) // TILES_ACROSS)
    figure = new_figure(down * 2.0)
    tiles = figure.subplots(down, TILES_ACROSS, squeeze=False).ravel()
    for tile in tiles:
        tile.axis("off")
    for tile, image, is_, said, sure in zip(tiles, images_rgb_u8, true, guessed, probabilities, strict=False):
        tile.imshow(image, interpolation="nearest" if max(image.shape) < 100 else "antialiased")
        tile.set_title(f"is {brief(is_)}\nsaid {brief(said)}, {sure:.0%}", fontsize=8, color=INK)
    return to_png(figure)


def _tell_matrix(matrix: NDArray[np.int64], classes: Sequence[str]) -> str:
    reading = (
        "A row is what pictures are, a column what they are taken for; all on the diagonal would be right."
    )
    mistakes = matrix - np.diag(np.diag(matrix))
    row, column = divmod(int(mistakes.argmax()), len(classes))
    if mistakes[row, column] == 0:
        return f"{reading} There is no mistake."
    return (
        f"{reading} The most frequent mistake: {mistakes[row, column]} of {matrix[row].sum()} pictures of "
        f"{classes[row]} are taken for {classes[column]}."
    )
