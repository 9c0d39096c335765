"""python -m tombola.cli.training.handful: a small set of photos, to see what a training makes of it."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tombola.cli.polite import run_politely


def handful(
    annotations: Annotated[Path, typer.Option("--annotations", help="Boxes, as of tombola evaluate.")],
    pictures: Annotated[Path, typer.Option("--pictures", help="Folder or tar of their pictures.")],
    classes: Annotated[str, typer.Option("--classes", metavar="A,B", help="The things that are wanted.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder for the photos and their boxes.")],
    folds: Annotated[list[str] | None, typer.Option("--fold", help="As of tombola evaluate.")] = None,
    photos: Annotated[int, typer.Option("--photos", min=1, help="How many, evenly by file name.")] = 150,
) -> None:
    """Copy some photos that show one of the classes, with the boxes of those classes alone."""
    from tombola.train.data.boxes import formats

    data = formats.load(annotations, pictures).fold(folds or ())
    names = classes.split(",")
    if strange := [name for name in names if name not in data.classes]:
        raise typer.BadParameter(
            f"{strange[0]} is not one of {', '.join(data.classes)}", param_hint="--classes"
        )
    if out.exists():
        raise typer.BadParameter(f"{out} is there already; name a new folder", param_hint="--out")
    labels = [data.classes.index(name) for name in names]
    shown = [record for record in data.records if (np.isin(record.labels, labels) & ~record.difficult).any()]
    count = min(photos, len(shown))
    chosen = [shown[place * len(shown) // count] for place in range(count)]
    out.mkdir(parents=True)
    boxes: list[dict[str, Any]] = []
    images = []
    for number, record in enumerate(chosen):
        (out / Path(record.file_name).name).write_bytes(data.pictures.read_bytes(record.file_name))
        images.append({"id": number, "file_name": Path(record.file_name).name})
        for box_xyxy, label, difficult in zip(
            record.boxes_xyxy.tolist(), record.labels.tolist(), record.difficult.tolist(), strict=True
        ):
            if label in labels:
                x1, y1, x2, y2 = box_xyxy
                boxes.append(
                    {
                        "id": len(boxes),
                        "image_id": number,
                        "category_id": labels.index(label),
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "difficult": int(difficult),
                    }
                )
    table = {
        "images": images,
        "annotations": boxes,
        "categories": [{"id": place, "name": name} for place, name in enumerate(names)],
    }
    (out / "_annotations.coco.json").write_text(json.dumps(table), encoding="utf-8")
    typer.echo(f"{out}: {len(images)} photos, {len(boxes)} boxes")


if __name__ == "__main__":
    run_politely(handful)
