"""Precision, recall and F1 where a score threshold cuts, for each class and for all together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tombola.train.metrics.average_precision import DetectionScores
from tombola.train.metrics.counts import ClassCounts
from tombola.train.metrics.score import percent

# Of what `as_rows` gives.
COLUMNS = ("class", "boxes", "AP", "precision", "recall", "F1")


@dataclass(frozen=True)
class ClassRow(ClassCounts):
    """One class at one score threshold; detections of difficult truths are in neither count.

    right, wrong       detections that found a truth, and those that did not
    average_precision  0 … 1 over all thresholds; the mean over classes in the row for all
    """

    average_precision: float


def class_rows(scores: DetectionScores, score_threshold: float) -> list[ClassRow]:
    """Return a row per class in the order of the classes, keeping detections with score >= the threshold."""
    rows = []
    for name, curve, value in zip(scores.classes, scores.curves, scores.average_precision, strict=True):
        kept = int((curve.scores >= score_threshold).sum())
        right = int(curve.right[:kept].sum())
        rows.append(ClassRow(name, curve.truths, right, kept - right, float(value)))
    return rows


def total_row(scores: DetectionScores, score_threshold: float) -> ClassRow:
    """Return the row of all classes together: counts are summed, the average precision is the mean."""
    rows = class_rows(scores, score_threshold)
    return ClassRow(
        "all",
        sum(row.truths for row in rows),
        sum(row.right for row in rows),
        sum(row.wrong for row in rows),
        scores.mean_average_precision,
    )


def best_f1_score(scores: DetectionScores) -> float:
    """Return the score threshold of the highest F1 over all classes together; 0.5 if nothing is right."""
    values = np.concatenate([np.zeros(0), *(curve.scores for curve in scores.curves)])
    right = np.concatenate([np.zeros(0, np.bool_), *(curve.right for curve in scores.curves)])
    if not right.any():
        return 0.5
    order = np.argsort(-values, kind="stable")
    values, found = values[order], np.cumsum(right[order])
    truths = sum(curve.truths for curve in scores.curves)
    f1 = 2 * found / (np.arange(1, len(found) + 1) + truths)
    # A threshold keeps all detections of equal score or none.
    last_of_equal = np.append(values[1:] != values[:-1], True)
    return float(values[np.argmax(np.where(last_of_equal, f1, -1))])


def as_rows(rows: Sequence[ClassRow]) -> list[tuple[str, ...]]:
    """Return table rows, one cell for each of COLUMNS; the last four as `percent` writes them."""
    return [
        (
            row.name,
            str(row.truths),
            percent(row.average_precision),
            percent(row.precision),
            percent(row.recall),
            percent(row.f1),
        )
        for row in rows
    ]
