"""What is taken for what, as a picture: the confusion matrix."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from numpy.typing import NDArray

from tombola.train.drawing.figure import INK, WIDTH_INCHES, brief, new_axes, new_figure, to_png

# With more classes the numbers, and then the names, are too small to read.
FEW_CLASSES, NUMBERED_CLASSES, NAMED_CLASSES = 12, 24, 30


def confusion_matrix_png(matrix: NDArray[np.int64], classes: Sequence[str], title: str = "") -> bytes:
    """PNG bytes; matrix int64 [classes, classes], things by what they are (row) and what they are taken for
    (column)."""
    n_classes = len(classes)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = new_figure(WIDTH_INCHES)
    axes = new_axes(figure, x_label="what they are taken for", y_label="what they are")
    if title:
        figure.suptitle(title.replace("$", r"\$"), color=INK, fontsize=9)
    # The root lets one mistake in a hundred still be seen.
    axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), aspect="equal")
    axes.grid(visible=False)
    if n_classes <= NAMED_CLASSES:
        size = 8 if n_classes <= FEW_CLASSES else 5.5
        axes.set_xticks(range(n_classes), [brief(name) for name in classes], rotation=90, fontsize=size)
        axes.set_yticks(range(n_classes), [brief(name) for name in classes], fontsize=size)
    if n_classes <= NUMBERED_CLASSES:
        size = 7 if n_classes <= FEW_CLASSES else 4.5
        for row, column in zip(*np.nonzero(matrix), strict=True):
            ink = "white" if shares[row, column] > 0.3 else "#222222"
            axes.text(
                column, row, str(matrix[row, column]), ha="center", va="center", color=ink, fontsize=size
            )
    return to_png(figure)
