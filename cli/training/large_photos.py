"""python -m tombola.cli.training.large_photos: the table of how large photos should be made small."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli.polite import run_politely
from tombola.cli.table import table, terminal_columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def large_photos(
    model_file: Annotated[Path, typer.Argument(metavar="MODEL", help="A detector's file.")],
    annotations: Annotated[Path, typer.Option("--annotations", help="Its boxes, as of tombola evaluate.")],
    pictures: Annotated[Path, typer.Option("--pictures", help="Folder or tar of its pictures.")],
    folds: Annotated[list[str] | None, typer.Option("--fold", help="As of tombola evaluate.")] = None,
    photos: Annotated[int, typer.Option("--photos", min=1, help="How many, the first by file name.")] = 300,
) -> None:
    """VOC07 mAP of photos of 400 to 4,000 px with noise, made small in three ways."""
    from tombola.runtime.load import load
    from tombola.train.data.boxes import formats
    from tombola.train.data.boxes.detection_set import DetectionSet
    from tombola.train.metrics.matching import Prediction
    from tombola.train.studies.large_photos import SIDES_PX, WAYS, study

    model = load(model_file, "cpu", task="detect")
    height, width = model.contract.card["input_size_hw"]
    data = formats.load(annotations, pictures, model.labels).fold(folds or ())
    data = DetectionSet(data.classes, data.records[:photos], data.pictures)

    def predict(image_rgb_u8: "NDArray[np.uint8]") -> Prediction:
        found = model(image_rgb_u8, score_threshold=0.01)
        return Prediction(found.boxes_xyxy, found.scores, found.labels)

    scores = study(predict, (height, width), data)
    rows = [[f"{side} px", *(f"{100 * scores[side, way]:.1f}" for way in WAYS)] for side in SIDES_PX]
    header = ("longer side", *WAYS)
    typer.echo("\n".join(table(header, rows, ">" * len(header), columns=terminal_columns())))


if __name__ == "__main__":
    run_politely(large_photos)
