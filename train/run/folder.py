"""The run folder: what a training leaves behind, every file written beside its place and renamed."""

import csv
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from tombola.errors import OutputError, TrainingError
from tombola.runtime.pictures.output import write_beside
from tombola.train.recipe.text_file import read_text
from tombola.train.run.watch_row import WatchRow, from_csv, to_csv

MOST_BYTES = 100_000_000  # of a table that a run writes

# What a run would write over. A preflight's files, a log and a lineage alone are no run's yet.
OWN_FILES = frozenset(
    {
        "recipe.toml",
        "widths.json",
        "metrics.csv",
        "curves.png",
        "report.html",
        "best.safetensors",
        "last.safetensors",
    }
)


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` so that `path` holds the old file or the whole new one, whatever happens, a power cut
    too; OutputError if not."""
    with write_beside(path) as part, part.open("r+b") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def check_place(path: Path, *suffixes: str) -> None:
    """OutputError, before the long work begins, if `path` cannot be a file that ends in one of `suffixes`."""
    if path.is_dir():
        example = path / f"name{suffixes[0]}"
        raise OutputError(f"{path} is a folder; give the name of a file in it, like {example}")
    if path.suffix not in suffixes:
        raise OutputError(f"{path} does not end in {' or '.join(suffixes)}; give it such a name")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise OutputError(f"{path} cannot be written: {folder} is not a folder you may write to")


class RunFolder:
    """Names and formats of one run's files.

    recipe.toml (as resolved), checkpoint.safetensors (weights, average, optimiser and progress in one file,
    so that they cannot disagree), last / best / initial / early-K.safetensors (weights alone), metrics.csv,
    curves.png, lineage.json, watch.csv and watch.txt; widths.json if the network is not as wide as its recipe
    says. samples/epoch-K.png: what a generator made after that epoch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def recipe_path(self) -> Path:
        return self.path / "recipe.toml"

    @property
    def widths_path(self) -> Path:
        return self.path / "widths.json"

    @property
    def is_run(self) -> bool:
        """Whether a training began here: what it was to learn and what it descends from are written down."""
        return not self._missing()

    def check(self) -> None:
        """TrainingError unless a training began here."""
        if missing := self._missing():
            raise TrainingError(
                f"{self.path} is not a run folder: it has no {missing[0]}; give a folder that training wrote"
            )

    def _missing(self) -> list[str]:
        return [name for name in ("recipe.toml", "lineage.json") if not (self.path / name).exists()]

    def strangers(self) -> list[str]:
        """Names of folders in it, and of files that a run would write over, if it is no run's."""
        if self.is_run or not self.path.is_dir():
            return []
        shown = [path for path in self.path.iterdir() if not path.name.startswith(".")]
        return sorted(path.name for path in shown if path.name in OWN_FILES or path.is_dir())

    @property
    def has_checkpoint(self) -> bool:
        return (self.path / "checkpoint.safetensors").exists()

    def weights_path(self, name: str) -> Path:
        """Path of the weights called `name`: last, best, initial or early-K."""
        return self.path / f"{name}.safetensors"

    def write_recipe(self, toml: str) -> None:
        write_atomic(self.recipe_path, toml.encode())

    def write_weights(self, name: str, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
        """Save tensors (any device) as NAME.safetensors with text notes, as JSON, in its header."""
        # One note, for safetensors writes several in an order that changes from process to process.
        note = {"notes": json.dumps(dict(notes), sort_keys=True)}
        write_atomic(self.weights_path(name), _pack(tensors, note))

    def read_weights(self, name: str) -> dict[str, Tensor]:
        """The tensors of NAME.safetensors; TrainingError if it is missing or damaged."""
        path = self.weights_path(name)
        if not path.exists():
            files = sorted(file.stem for file in self.path.glob("*.safetensors"))
            there = ", ".join(name for name in files if name != "checkpoint") or "none"
            raise TrainingError(f"{path} does not exist; weights in this run: {there}")
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"{path} is damaged ({error}); use other weights of the run") from None

    def load(self, network: nn.Module, name: str) -> None:
        """Read the weights NAME.safetensors into a network; TrainingError if they are missing, damaged or of
        another one."""
        tensors = self.read_weights(name)
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise TrainingError(
                f"{self.weights_path(name)} does not fit {self.recipe_path}: {reason}"
            ) from None

    def write_checkpoint(self, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        write_atomic(self.path / "checkpoint.safetensors", _pack(tensors, {"progress": json.dumps(progress)}))

    def check_checkpoint(self) -> None:
        """TrainingError if there is nothing to resume from."""
        if not self.has_checkpoint:
            raise TrainingError(f"{self.path} has no checkpoint to resume from; train without --resume")

    def read_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and progress of the last checkpoint; TrainingError if there is none or it is damaged."""
        self.check_checkpoint()
        path = self.path / "checkpoint.safetensors"
        try:
            with safe_open(path, framework="pt") as file:
                progress = json.loads((file.metadata() or {})["progress"])
            return load_file(path), progress
        except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
            raise TrainingError(
                f"{path} is damaged ({error}); start the run anew in another folder"
            ) from None

    def write_metrics(self, rows: Sequence[Mapping[str, float]]) -> None:
        """metrics.csv, one row an epoch; columns in the order of first appearance."""
        columns = list(dict.fromkeys(key for row in rows for key in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows([{key: f"{value:.10g}" for key, value in row.items()} for row in rows])
        write_atomic(self.path / "metrics.csv", text.getvalue().encode())

    def write_curves(self, png: bytes) -> None:
        write_atomic(self.path / "curves.png", png)

    def write_sample_row(self, epoch: int, png: bytes) -> None:
        (self.path / "samples").mkdir(exist_ok=True)
        write_atomic(self.path / "samples" / f"epoch-{epoch:04d}.png", png)

    def sample_rows(self) -> dict[int, Path]:
        """Epoch -> the PNG of what was made after it, in order; empty for runs that make no pictures."""
        found = (re.fullmatch(r"epoch-(\d+)\.png", path.name) for path in self.path.glob("samples/*.png"))
        epochs = sorted(int(match[1]) for match in found if match)
        return {epoch: self.path / "samples" / f"epoch-{epoch:04d}.png" for epoch in epochs}

    def write_watch(self, rows: Sequence[WatchRow], sentences: Sequence[str]) -> None:
        """watch.csv, a row for each layer and look, and watch.txt, a finding a line."""
        write_atomic(self.path / "watch.csv", to_csv(rows).encode())
        write_atomic(self.path / "watch.txt", "".join(f"{line}\n" for line in sentences).encode())

    def read_watch(self) -> tuple[list[WatchRow], list[str]]:
        """What `write_watch` wrote, empty for a run that was not watched; TrainingError if it is damaged."""
        table, told = self.path / "watch.csv", self.path / "watch.txt"
        try:
            rows = from_csv(table.read_text(encoding="utf-8")) if table.exists() else []
            return rows, told.read_text(encoding="utf-8").splitlines() if told.exists() else []
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(f"{table} is damaged ({error}); remove it") from None

    def write_lineage(self, lineage: Mapping[str, Any]) -> None:
        write_atomic(self.path / "lineage.json", json.dumps(lineage, indent=2).encode())

    def write_widths(self, widths: Mapping[str, int]) -> None:
        """widths.json: how wide each axis of the network is; no file where the recipe's widths hold."""
        if not widths:
            self.widths_path.unlink(missing_ok=True)
            return
        write_atomic(self.widths_path, json.dumps(widths, indent=1).encode())

    def read_widths(self) -> dict[str, int]:
        """What `write_widths` wrote; empty where the recipe's widths hold. TrainingError if it is damaged."""
        path = self.widths_path
        widths = _read_table(path)
        if not all(type(width) is int for width in widths.values()):
            raise TrainingError(f"{path} is no table of whole numbers; restore it beside the weights")
        return widths

    def read_lineage(self) -> dict[str, Any]:
        """What the weights descend from; empty for a run that has not written it. TrainingError if it is
        damaged."""
        return _read_table(self.path / "lineage.json")

    def read_metrics(self) -> list[dict[str, float]]:
        """The rows of metrics.csv; empty if nothing was measured yet. TrainingError if it is damaged."""
        path = self.path / "metrics.csv"
        if not path.exists():
            return []
        try:
            rows = csv.DictReader(io.StringIO(read_text(path, MOST_BYTES)))
            return [{k: float(v) for k, v in row.items() if v} for row in rows]
        except (OSError, ValueError, TypeError, csv.Error) as error:  # TypeError: more values than columns
            raise TrainingError(f"{path} is damaged ({error}); restore it, or remove it") from None


def _read_table(path: Path) -> dict[str, Any]:
    """The JSON object in the file, empty if there is none. TrainingError if it is damaged."""
    if not path.exists():
        return {}
    try:
        table = json.loads(read_text(path, MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"{path} is damaged ({error}); restore it beside the weights") from None
    if not isinstance(table, dict):
        raise TrainingError(f"{path} is no JSON object; restore it beside the weights")
    return table


def _pack(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> bytes:
    # A clone gives each tensor its own dense storage, which the format asks for.
    dense = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    return save(dense, metadata=dict(notes))
