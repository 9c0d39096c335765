"""`tombola evaluate` of a detector: both mean average precisions, and a table by class."""

from typing import TYPE_CHECKING

import typer

from tombola.cli.table import counted, table, terminal_columns, wrap
from tombola.cli.training.evaluation import Evaluated, PictureCount
from tombola.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tombola.train.data.boxes.detection_set import DetectionSet
    from tombola.train.evaluate import Evaluation, PredictPicture
    from tombola.train.metrics.matching import Prediction


def report_detector(asked: Evaluated) -> str:
    """The scores of the run folder or model file that is asked for, as text or JSON."""
    from tombola.train.drawing.metric_curves import SUFFIXES, draw_precision_recall
    from tombola.train.metrics.table import best_f1_score
    from tombola.train.run.folder import check_place

    if asked.confusions is not None:
        raise typer.BadParameter("--confusions is for classifiers; this is a detector.")
    if asked.pr_curve is not None:
        check_place(asked.pr_curve, *SUFFIXES)
    result = evaluate_detector(asked)
    cut = best_f1_score(result.voc07) if asked.score is None else asked.score
    if asked.pr_curve is not None:
        draw_precision_recall(result.voc07, asked.pr_curve, cut)
    return (
        detector_json(result, cut)
        if asked.json
        else "\n".join(detector_lines(result, cut, terminal_columns()))
    )


def evaluate_detector(asked: Evaluated) -> "Evaluation":
    """The scores of the run folder or model file that is asked for."""
    from tombola.train.evaluate import evaluate

    if (asked.labels is None) != (asked.pictures is None):
        raise typer.BadParameter("--annotations and --pictures belong together; give both.")
    predict, data = _of_run(asked) if asked.path.is_dir() else _of_model(asked)
    if asked.folds:
        data = data.fold(asked.folds)
    count = PictureCount(len(data))

    def counting(image_rgb_u8: "NDArray[np.uint8]") -> "Prediction":
        count.add()
        return predict(image_rgb_u8)

    return evaluate(counting, data)


def _of_run(asked: Evaluated) -> tuple["PredictPicture", "DetectionSet"]:
    """The network of a run in PyTorch, and the pictures named or those of its recipe."""
    import torch

    from tombola.train.tasks.detect.task import load_split, predictor
    from tombola.train.tasks.table import load_network

    device = asked.torch_device()
    network, recipe = load_network(asked.path, asked.weights)
    named = _named(asked, recipe.data.classes)
    data = load_split(recipe, asked.split) if named is None else named
    return torch.inference_mode()(predictor(network.to(device), recipe)), data


def _of_model(asked: Evaluated) -> tuple["PredictPicture", "DetectionSet"]:
    """A model file as it will run on the device, and the pictures named."""
    from tombola.runtime.load import load
    from tombola.train.metrics.matching import Prediction
    from tombola.train.tasks.detect.task import SCORING_THRESHOLD

    model = load(asked.path, asked.device.value, asked.threads, task="detect")
    data = _named(asked, model.labels)
    if data is None:
        raise DataError(f"{asked.path} does not say what to score it on: give --annotations and --pictures")

    def predict(image_rgb_u8: "NDArray[np.uint8]") -> Prediction:
        found = model(image_rgb_u8, score_threshold=SCORING_THRESHOLD)
        return Prediction(found.boxes_xyxy, found.scores, found.labels)

    return predict, data


def _named(asked: Evaluated, classes: tuple[str, ...]) -> "DetectionSet | None":
    from tombola.train.data.boxes.formats import load

    if asked.labels is None or asked.pictures is None:
        return None
    return load(asked.labels, asked.pictures, classes, asked.format_name)


def detector_lines(result: "Evaluation", cut: float, columns: int | None) -> list[str]:
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


def detector_json(result: "Evaluation", cut: float) -> str:
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
