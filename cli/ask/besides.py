"""What `tombola detect` does with found boxes beside telling them: crops, other formats, a hint."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tombola.cli.ask.asking import Answered, Beside
from tombola.cli.ask.saving import SaveFolder
from tombola.cli.ask.streams import note

if TYPE_CHECKING:
    from tombola.runtime.tasks.detect.answer import Detections


class Format(StrEnum):
    """Forms that other programs read."""

    coco = "coco"
    csv = "csv"
    yolo = "yolo"


def format_writer(form: Format, labels: tuple[str, ...]) -> "Beside[Detections]":
    """What writes boxes in that form."""
    if form is Format.coco:
        return CocoPrinter(labels)
    return CsvPrinter() if form is Format.csv else YoloFolder(labels)


class CocoPrinter:
    """One COCO document on stdout, at the end."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        from tombola.runtime.tasks.detect.formats import CocoDocument

        self._document = CocoDocument(labels)

    def add(self, told: "Answered[Detections]") -> dict[str, Any]:
        """Remember a picture's boxes."""
        self._document.add(str(told.path), told.frame, told.answer)
        return {}

    def end(self) -> None:
        """Print the document."""
        from json import dumps

        typer.echo(dumps(self._document.to_dict()))


class CsvPrinter:
    """A line of CSV on stdout for each box, under a header."""

    def __init__(self) -> None:
        from tombola.runtime.tasks.detect.formats import CSV_HEADER

        typer.echo(",".join(CSV_HEADER))

    def add(self, told: "Answered[Detections]") -> dict[str, Any]:
        """Print a picture's boxes."""
        from tombola.runtime.tasks.detect.formats import csv_lines

        for line in csv_lines(str(told.path), told.frame, told.answer):
            typer.echo(line)
        return {}

    def end(self) -> None:
        """Nothing is left to do."""


class YoloFolder:
    """A .txt of YOLO's lines beside each annotated copy, and the names of the classes in classes.txt."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._folder: Path | None = None

    def add(self, told: "Answered[Detections]") -> dict[str, Any]:
        """Write a picture's boxes."""
        from tombola.runtime.pictures.output import save_bytes
        from tombola.runtime.tasks.detect.formats import yolo_lines

        assert told.saved is not None, "there is no folder to write to"
        self._folder = told.saved.parent
        text = "".join(f"{line}\n" for line in yolo_lines(told.answer))
        name = told.saved.stem + told.frame_suffix
        return {"yolo": str(save_bytes(text.encode(), told.saved.with_name(f"{name}.txt")))}

    def end(self) -> None:
        """Write the names of the classes."""
        from tombola.runtime.pictures.output import save_bytes

        if self._folder is not None:
            save_bytes("".join(f"{name}\n" for name in self._labels).encode(), self._folder / "classes.txt")


class CropFolder:
    """Each found thing as a picture of its own, in a folder for its class."""

    def __init__(self, folder: Path, sources: list[Path]) -> None:
        self._folder, self._sources = folder, sources
        self._classes: dict[str, SaveFolder] = {}

    def add(self, told: "Answered[Detections]") -> dict[str, Any]:
        """Write a picture's things."""
        from tombola.runtime.pictures.output import PICTURE_OPTIONS, save_picture
        from tombola.runtime.tasks.detect.formats import cut_out

        suffix = told.path.suffix.lower()
        suffix = suffix if suffix in PICTURE_OPTIONS else ".png"
        stem = ("stdin" if str(told.path) == "-" else told.path.stem) + told.frame_suffix
        written = []
        for number, (found, crop_rgb_u8) in enumerate(cut_out(told.image_rgb_u8, told.answer), 1):
            name = _folder_name(found.name)
            if name not in self._classes:
                self._classes[name] = SaveFolder(self._folder / name, self._sources, "--crops", "crop")
            place = self._classes[name].place(f"{stem}-{number}", suffix)
            written.append(str(save_picture(crop_rgb_u8, place)))
        return {"crops": written}

    def end(self) -> None:
        """Nothing is left to do."""


class TilesHint:
    """Tells at the end where pictures were so wide that the network saw their things too small."""

    def __init__(self, input_px: int) -> None:
        self._input_px = input_px
        self._wide: dict[Path, tuple[int, int]] = {}

    def add(self, told: "Answered[Detections]") -> dict[str, Any]:
        """Look at a picture's size."""
        from tombola.runtime.tasks.detect.tiles import is_too_wide

        if is_too_wide(told.answer.size_hw, self._input_px):
            self._wide[told.path] = told.answer.size_hw
        return {}

    def end(self) -> None:
        """Print the hint, once."""
        if not self._wide:
            return
        path, (height, width) = next(iter(self._wide.items()))
        more = f" ({len(self._wide) - 1} more alike)" if len(self._wide) > 1 else ""
        scale = self._input_px / max(height, width)
        note(
            f"{path}: the network sees its {width}×{height} pixels at {round(width * scale)}×"
            f"{round(height * scale)}, where small things are lost{more}; add --tiles to look piece by piece"
        )


def _folder_name(name: str) -> str:
    """A class's name as a folder's: without the signs that some system does not allow in one."""
    safe = "".join("_" if sign in '/\\:*?"<>|' or not sign.isprintable() else sign for sign in name)
    return safe.strip(" .")[:100] or "_"
