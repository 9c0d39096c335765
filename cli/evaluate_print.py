"""What `tombola evaluate` prints."""

from typing import TYPE_CHECKING

from tombola.cli.table import counted, table, wrap

if TYPE_CHECKING:
    from tombola.train.evaluate import Evaluation


def evaluation_lines(result: "Evaluation", cut: float, columns: int | None) -> list[str]:
    """A table by class, precision and recall at the score `cut`, and the means below it."""
    from tombola.train.metrics.table import as_rows, class_rows, percent, total_row

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


def evaluation_json(result: "Evaluation", cut: float) -> str:
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
