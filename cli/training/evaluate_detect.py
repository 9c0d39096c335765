"""`tombola evaluate` of a detector: both mean average precisions, and a table by class."""

from typing import TYPE_CHECKING

import typer

from tombola.cli.table import counted, table, terminal_columns, wrap
from tombola.cli.training.evaluation import Evaluated

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from tombola.runtime.tasks.detect.model import Detector
    from tombola.train.metrics.matching import Prediction
    from tombola.train.tasks.detect.scoring import DetectorScores


def report_detector(asked: Evaluated) -> str:
    """The scores of the run folder or model file that is asked for, as text or JSON."""
    from tombola.train.drawing.metric_curves import SUFFIXES, draw_precision_recall
    from tombola.train.metrics.table import best_f1_score
    from tombola.train.run.folder import check_place

    if asked.confusions is not None:
        raise typer.BadParameter("--confusions is for classifiers; this is a detector.")
    if asked.pr_curve is not None:
        check_place(asked.pr_curve, *SUFFIXES)
    if (asked.labels is None) != (asked.pictures is None):
        raise typer.BadParameter("--annotations and --pictures belong together; give both.")
    result: DetectorScores = asked.scores("detect", _answers, "--annotations and --pictures")
    cut = best_f1_score(result.voc07) if asked.score is None else asked.score
    if asked.pr_curve is not None:
        draw_precision_recall(result.voc07, asked.pr_curve, cut)
    return (
        detector_json(result, cut)
        if asked.json
        else "\n".join(detector_lines(result, cut, terminal_columns()))
    )


def _answers(model: "Detector") -> "Callable[[NDArray[np.uint8]], Prediction]":
    from tombola.train.metrics.matching import Prediction
    from tombola.train.tasks.detect.task import SCORING_THRESHOLD

    def answer(image_rgb_u8: "NDArray[np.uint8]") -> Prediction:
        found = model(image_rgb_u8, score_threshold=SCORING_THRESHOLD)
        return Prediction(found.boxes_xyxy, found.scores, found.labels)

    return answer


def detector_lines(result: "DetectorScores", cut: float, columns: int | None) -> list[str]:
    """A table by class, precision and recall at the score `cut`, and the means below it."""
    from tombola.train.metrics.score import percent
    from tombola.train.metrics.table import as_rows, class_rows, total_row

    rows = as_rows([*class_rows(result.voc07, cut), total_row(result.voc07, cut)])
    coco = ", ".join(
        f"{name} {percent(value)}" for name, value in result.coco.summary().items() if name != "AP"
    )
    return [
        *table(("class", "boxes", "AP", "precision", "recall", "F1"), rows, "<>>>>>", columns=columns),
        "",
        f"{counted(result.pictures, 'picture')}; precision, recall and F1 at score {cut:.2f} and IoU 0.5",
        f"VOC07 mAP@0.5       {percent(result.voc07.mean_average_precision)}",
        f"COCO mAP@0.50:0.95  {percent(result.coco.mean_average_precision)}",
        *wrap(f"COCO's others: {coco}", columns=columns),
    ]


def detector_json(result: "DetectorScores", cut: float) -> str:
    """The same as one line of JSON; shares are 0..1, null where there is nothing to find."""
    from json import dumps

    from tombola.train.metrics.table import class_rows

    def known(value: float) -> float | None:
        return None if value != value else round(value, 6)  # JSON has no NaN

    return dumps(
        {
            "pictures": result.pictures,
            "voc07_map": known(result.voc07.mean_average_precision),
            "coco": {name: known(value) for name, value in result.coco.summary().items()},
            "score": cut,
            "classes": [
                {
                    "name": row.name,
                    "boxes": row.truths,
                    "average_precision": known(row.average_precision),
                    "precision": known(row.precision),
                    "recall": known(row.recall),
                    "f1": known(row.f1),
                }
                for row in class_rows(result.voc07, cut)
            ],
        }
    )
