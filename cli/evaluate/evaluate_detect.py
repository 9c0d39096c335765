"""`tombola evaluate` of a detector: both mean average precisions, and a table by class."""

from shlex import quote
from typing import TYPE_CHECKING

import typer

from tombola.cli.evaluate.evaluation import Evaluated
from tombola.cli.evaluate.sureness import Sureness, against_text, known, sure_json, sure_text, sureness
from tombola.cli.table import counted, table, terminal_columns, wrap

if TYPE_CHECKING:
    from tombola.train.tasks.detect.scoring import DetectorScores


def report_detector(asked: Evaluated) -> str:
    """The scores of the run folder or model file that is asked for, as text or JSON."""
    from tombola.train.drawing.metric_curves import SUFFIXES, draw_precision_recall
    from tombola.train.metrics.table import best_f1_score
    from tombola.train.run.folder import check_place, write_atomic

    if asked.pr_curve is not None:
        check_place(asked.pr_curve, *SUFFIXES)
    if asked.confusions is not None:
        check_place(asked.confusions, ".png")
    if asked.predictions is not None:
        check_place(asked.predictions, ".json")
    if (asked.labels is None) != (asked.pictures is None):
        raise typer.BadParameter("--annotations and --pictures belong together; give both.")
    places = "--annotations and --pictures"
    result: DetectorScores = asked.scores(places)
    sure = sureness(asked, result, asked.other_scores(places))
    cut = best_f1_score(result.voc07) if asked.score is None else asked.score
    if asked.pr_curve is not None:
        draw_precision_recall(result.voc07, asked.pr_curve, cut)
    if asked.confusions is not None:
        write_atomic(asked.confusions, _confusions_png(result, cut, asked.path.name))
    if asked.predictions is not None:
        from json import dumps

        from tombola.train.tasks.detect.coco_results import coco_results

        write_atomic(asked.predictions, dumps(coco_results(result.predictions, result.data)).encode())
    if asked.json:
        return detector_json(result, cut, sure)
    columns = terminal_columns()
    lines = detector_lines(result, cut, sure, columns)
    return "\n".join(lines + ([] if asked.score is not None else wrap(_advice(asked, cut), columns=columns)))


def _confusions_png(result: "DetectorScores", cut: float, name: str) -> bytes:
    from tombola.train.drawing.confusion_matrix import confusion_matrix_png
    from tombola.train.metrics.detection_confusions import NOTHING

    title = f"{name}: boxes of score {cut:.2f} and more, IoU 0.5"
    return confusion_matrix_png(result.confusions(cut), [*result.data.classes, NOTHING], title)


def _advice(asked: Evaluated, cut: float) -> str:
    """How the score of the best F1 becomes the default of a file."""
    run = quote(str(asked.path)) if asked.path.is_dir() else "RUN"
    of_test = asked.path.is_dir() and asked.pictures is None and asked.split in (None, "test")
    return (
        f"Best F1 at score {cut:.2f}: `tombola export {run} --score {cut:.2f}` makes it the file's default"
        + ("; better chosen by `--split valid`, so that the test stays one" if of_test else "")
    )


def detector_lines(result: "DetectorScores", cut: float, sure: Sureness, columns: int | None) -> list[str]:
    """A table by class, precision and recall at the score `cut`, and the means below it."""
    from tombola.train.metrics.score import percent
    from tombola.train.metrics.table import COLUMNS, as_rows, class_rows, total_row

    rows = as_rows([*class_rows(result.voc07, cut), total_row(result.voc07, cut)])
    coco = ", ".join(
        f"{name} {percent(value)}" for name, value in result.coco.summary().items() if name != "AP"
    )
    return [
        *table(COLUMNS, rows, "<>>>>>", columns=columns),
        "",
        f"{counted(result.pictures, 'picture')}; precision, recall and F1 at score {cut:.2f} and IoU 0.5",
        f"VOC07 mAP@0.5       {percent(result.main)}{sure_text(sure)}",
        f"COCO mAP@0.50:0.95  {percent(result.coco.mean_average_precision)}",
        *wrap(f"COCO's others: {coco}", columns=columns),
        *against_text(sure, result.main, columns),
    ]


def detector_json(result: "DetectorScores", cut: float, sure: Sureness) -> str:
    """The same as one line of JSON; shares are 0..1, null where there is nothing to find.

    confusions: a row for each class that is, a column for each that it was taken for; nothing comes last.
    """
    from json import dumps

    from tombola.train.metrics.table import class_rows

    return dumps(
        {
            "pictures": result.pictures,
            "voc07_map": known(result.main),
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
            "confusions": result.confusions(cut).tolist(),
            **sure_json(sure, result.main),
        }
    )
