"""What lies in the data of each task and what is wrong with it, for `tombola data check`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from tombola.train.data.finding import Finding

# Rows of a table of what is there, and the faults.
Look = tuple[list[tuple[str, str]], list["Finding"]]
SPLITS = ("train", "valid", "test")


def boxes(
    annotations: Path, pictures: Path | None, classes: Sequence[str] | None, format_name: str | None
) -> Look:
    """Files of boxes and their pictures, or a folder or list of sets that says where both are."""
    from tombola.train.data.boxes import formats, layouts
    from tombola.train.data.boxes.check import check
    from tombola.train.data.boxes.sets import Part, look_at_sets
    from tombola.train.data.boxes.summary import summarize

    if pictures is None:
        sets = layouts.find_sets(annotations)
        if not sets:
            raise typer.BadParameter("PICTURES is missing; boxes are in files beside their pictures.")
        parts = [Part(split, one) for split, own in sets.items() for one in own]
        return look_at_sets(parts, list(classes or layouts.classes_of(annotations)) or None)
    entries = formats.read(annotations, pictures, classes, format_name)
    return summarize(entries).rows(), check(entries)


def are_boxes(annotations: Path, pictures: Path | None) -> bool:
    """Whether files that no format is named for hold boxes."""
    from tombola.train.data.boxes import layouts
    from tombola.train.data.labels import idx

    if pictures is not None:
        return not idx.is_idx(annotations)
    return annotations.suffix.lower() == ".json" or bool(layouts.find_sets(annotations))


def boxes_of_recipe(recipe: Any) -> Look:
    """All sets that a detector's recipe names."""
    from tombola.train.data.boxes.layouts import BoxSource
    from tombola.train.data.boxes.sets import Part, look_at_sets

    data = recipe.data
    parts = [
        Part(
            split,
            BoxSource(
                data.format,
                data.root / one.annotations,
                data.root / one.pictures,
                data.root / one.list if one.list else None,
            ),
            one.folds,
            one.without,
        )
        for split in SPLITS
        for one in getattr(data, split)
    ]
    return look_at_sets(parts, data.classes or None)


def labels(
    annotations: Path, pictures: Path | None, classes: Sequence[str] | None, format_name: str | None
) -> Look:
    """Labels and their pictures, or pictures that say their labels."""
    from tombola.train.data.labels import classify_formats
    from tombola.train.data.labels.labelled_check import look_at

    named = None if pictures is None else annotations
    summary, findings = look_at(classify_formats.read(pictures or annotations, named, classes, format_name))
    return summary.rows(), findings


def are_labels(annotations: Path, pictures: Path | None) -> bool:
    """Whether files that no format is named for hold labels: those without boxes do."""
    return not are_boxes(annotations, pictures)


def claims_nothing(annotations: Path, pictures: Path | None) -> bool:  # noqa: ARG001
    """A generator learns from what a classifier does: labelled pictures are looked at as those."""
    return False


def labels_of_recipe(recipe: Any) -> Look:
    """All sets that the recipe of a classifier, or of a generator, names."""
    from tombola.train.data.labels.sets import Part, look_at_sets

    data = recipe.data
    parts = [
        Part(
            split,
            data.format,
            data.root / one.pictures,
            data.root / one.labels if one.labels else None,
            one.folds,
        )
        for split in SPLITS
        for one in getattr(data, split)
    ]
    return look_at_sets(parts, data.classes or None)


def captions(
    annotations: Path, pictures: Path | None, _classes: Sequence[str] | None, format_name: str | None
) -> Look:
    """A file of captions and the folder or tar of its pictures."""
    from tombola.train.data.captions import formats
    from tombola.train.data.captions.check import Part, look_at_parts
    from tombola.train.data.pictures.clips import is_clip

    if pictures is None:
        raise typer.BadParameter("PICTURES is missing; captions are in a file beside their pictures.")
    file = formats.read(annotations, pictures, "", format_name)
    return look_at_parts([Part("", file, of_clips=any(is_clip(one.path) for one in file.records[:1]))])


def are_captions(annotations: Path, pictures: Path | None) -> bool:
    """Whether files that no format is named for hold captions."""
    from tombola.train.data.captions.formats import holds_captions

    return pictures is not None and holds_captions(annotations)


def captions_of_recipe(recipe: Any) -> Look:
    """All sets that a captioner's recipe names."""
    from tombola.train.data.captions import formats
    from tombola.train.data.captions.check import Part, look_at_parts

    data = recipe.data
    parts = [
        Part(
            split,
            formats.read(data.root / one.captions, data.root / one.pictures, one.split, data.format),
            one.folds,
            of_clips=recipe.picture.frames > 0,
        )
        for split in SPLITS
        for one in getattr(data, split)
    ]
    return look_at_parts(parts)
