"""How good a detector is, for the report: a table by class, precision against recall, and what is taken for
what."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tombola.train.drawing.confusion_matrix import confusion_matrix_png
from tombola.train.drawing.metric_curves import precision_recall_png
from tombola.train.metrics.average_precision import DetectionScores, voc07_map
from tombola.train.metrics.detection_confusions import NOTHING, count_detection_confusions
from tombola.train.metrics.matching import Prediction, Truth
from tombola.train.metrics.table import COLUMNS, as_rows, best_f1_score, class_rows, total_row
from tombola.train.tasks.task import Exhibit, ExhibitTable


def score_exhibits(
    predictions: Sequence[Prediction],
    truths: Sequence[Truth],
    classes: Sequence[str],
    score_threshold: float,
) -> list[Exhibit | ExhibitTable]:
    """Of one prediction a picture, down to scores of about 0.01; none where there is nothing to find.

    score_threshold: precision, recall, F1 and what is taken for what are of the detections from this score
    on.
    """
    scores = voc07_map(predictions, truths, classes)
    if not any(curve.truths for curve in scores.curves):
        return []
    matrix = count_detection_confusions(predictions, truths, len(classes), score_threshold)
    return [
        ExhibitTable(
            "By class", _tell_table(scores, score_threshold), COLUMNS, _rows(scores, score_threshold)
        ),
        Exhibit(
            "Precision against recall",
            f"Each class, best first, with its average precision; the dot is at score {score_threshold:g}. A "
            "curve that ends early: the objects right of its end are never found.",
            precision_recall_png(scores, score_threshold),
        ),
        Exhibit(
            "Confusion matrix",
            _tell_matrix(matrix, [*classes, NOTHING]),
            confusion_matrix_png(matrix, [*classes, NOTHING]),
        ),
    ]


def _rows(scores: DetectionScores, score_threshold: float) -> list[tuple[str, ...]]:
    return as_rows([*class_rows(scores, score_threshold), total_row(scores, score_threshold)])


def _tell_table(scores: DetectionScores, score_threshold: float) -> str:
    return (
        f"In percent. Precision, recall and F1 are those at score {score_threshold:g} and IoU "
        f"{scores.iou_threshold:g}; the F1 of all is best at score {best_f1_score(scores):.2f}, which "
        "tombola export --score makes a file's default."
    )


def _tell_matrix(matrix: NDArray[np.int64], names: Sequence[str]) -> str:
    reading = (
        "A row is what objects are, a column what they are taken for. The last column are objects that are "
        "missed, the last row boxes where no object is left to find."
    )
    mistakes = matrix - np.diag(np.diag(matrix))
    mistakes[-1] = mistakes[:, -1] = 0
    row, column = divmod(int(mistakes.argmax()), len(names))
    if mistakes[row, column] == 0:
        return f"{reading} No object is taken for one of another class."
    return (
        f"{reading} The most frequent mistake of the class: {mistakes[row, column]} of {matrix[row].sum()} "
        f"objects of {names[row]} are taken for {names[column]}."
    )
