"""`tombola evaluate` of a classifier: the share of labels found, and a table by class."""

from typing import TYPE_CHECKING

import typer

from tombola.cli.evaluate.evaluation import Evaluated
from tombola.cli.evaluate.sureness import Sureness, against_text, known, sure_json, sure_text, sureness
from tombola.cli.table import counted, table, terminal_columns, wrap

if TYPE_CHECKING:
    from tombola.train.metrics.classification import ClassificationScores

SHOWN_MISTAKES = 3


def report_classifier(asked: Evaluated) -> str:
    """The scores of the run folder or model file that is asked for, as text or JSON."""
    from tombola.train.metrics.score import percent
    from tombola.train.run.folder import check_place, write_atomic

    if asked.confusions is not None:
        check_place(asked.confusions, ".png")
    if asked.labels is not None and asked.pictures is None:
        raise typer.BadParameter("--labels are of pictures; give --pictures too.")
    places = "--pictures, and --labels if they are in a file of their own"
    scores: ClassificationScores = asked.scores(places)
    sure = sureness(asked, scores, asked.other_scores(places))
    if asked.confusions is not None:
        from tombola.train.drawing.confusion_matrix import confusion_matrix_png

        title = f"{asked.path.name}\n{percent(scores.accuracy, 2)} % of {scores.pictures:,} pictures right"
        write_atomic(asked.confusions, confusion_matrix_png(scores.confusions, scores.classes, title))
    if asked.json:
        return classifier_json(scores, sure)
    return "\n".join(classifier_lines(scores, sure, terminal_columns()))


def classifier_lines(scores: "ClassificationScores", sure: Sureness, columns: int | None) -> list[str]:
    """A table by class, the shares of all pictures below it, and what is mistaken most often."""
    from tombola.train.metrics.classification import MOST_PROBABLE
    from tombola.train.metrics.score import percent

    rows = [
        (row.name, str(row.truths), percent(row.precision), percent(row.recall), percent(row.f1))
        for row in scores.by_class()
    ]
    mistakes = ", ".join(
        f"{truth} taken for {guess} ({pictures})"
        for truth, guess, pictures in scores.mistakes(SHOWN_MISTAKES)
    )
    return [
        *table(("class", "pictures", "precision", "recall", "F1"), rows, "<>>>>", columns=columns),
        "",
        f"{counted(scores.pictures, 'picture')}; a picture's class is the most probable one",
        f"accuracy  {percent(scores.accuracy)}{sure_text(sure)}",
        *([f"top 5     {percent(scores.top5)}"] if len(scores.classes) > MOST_PROBABLE else []),
        f"mean F1   {percent(scores.mean_f1)}",
        *(wrap(f"most often mistaken: {mistakes}", columns=columns) if mistakes else []),
        *against_text(sure, scores.accuracy, columns),
    ]


def classifier_json(scores: "ClassificationScores", sure: Sureness) -> str:
    """The same as one line of JSON; shares are 0..1, null where there is nothing to find.

    confusions: a row for each class that is, a column for each that was taken for it.
    """
    from json import dumps

    return dumps(
        {
            "pictures": scores.pictures,
            "accuracy": known(scores.accuracy),
            "top5": known(scores.top5),
            "mean_f1": known(scores.mean_f1),
            "classes": [
                {
                    "name": row.name,
                    "pictures": row.truths,
                    "precision": known(row.precision),
                    "recall": known(row.recall),
                    "f1": known(row.f1),
                }
                for row in scores.by_class()
            ],
            "confusions": scores.confusions.tolist(),
            **sure_json(sure, scores.main),
        }
    )
