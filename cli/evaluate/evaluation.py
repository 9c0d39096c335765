"""What `tombola evaluate` is asked, whatever the task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tombola.cli.options import Device
from tombola.cli.training.run_path import check_run
from tombola.errors import DataError
from tombola.terminal_line import TerminalLine

if TYPE_CHECKING:
    from tombola.train.evaluate import Named, Split


@dataclass(frozen=True)
class Evaluated:
    """A run or a model file, and the pictures to score it on.

    labels, pictures, format_name: those named instead of the recipe's. pictures is None where none are
    named; labels, a file or a folder, is None where the pictures say theirs. split, weights: which ones of
    a run, or the split of named captions; changes: of the run's [answer]. interval: how sure the score is;
    against: another run or file, to be scored on the same pictures. score, pr_curve, predictions: of
    detectors; proposals: of the pictures named, for a Fast R-CNN; confusions: where to draw what is taken
    for what; json: print JSON; judge: of generators, a classifier; likelihood: of a vae, samples a picture.
    """

    path: Path
    labels: Path | None
    pictures: Path | None
    format_name: str | None
    folds: Sequence[str]
    split: str | None
    weights: str
    changes: Sequence[str]
    device: Device
    threads: int | None
    interval: bool
    against: Path | None
    score: float | None
    pr_curve: Path | None
    confusions: Path | None
    predictions: Path | None
    judge: Path | None
    proposals: Path | None
    likelihood: int | None
    json: bool

    def scores(self, places: str) -> Any:
        """Scores of a run's network in PyTorch, or of a model file as it will run on the device.

        places: the options that say what to score a file on. Raises DataError without them.
        """
        return self._scores(self.path, self.weights, self.changes, places)

    def other_scores(self, places: str) -> Any:
        """The same of `against`, on the same pictures; of a run its best weights. None without `against`."""
        return None if self.against is None else self._scores(self.against, "best", (), places)

    def _scores(self, path: Path, weights: str, changes: Sequence[str], places: str) -> Any:
        if path.is_dir():
            from tombola.train.evaluate import evaluate_run

            self.use_threads()
            return evaluate_run(
                path,
                self.source(places),
                weights=weights,
                changes=changes,
                device=self.device.value,
                tell=picture_count(),
            )
        from tombola.export.scoring import score_file

        return score_file(
            path,
            self.source(places),
            device=self.device.value,
            threads=self.threads,
            tell=picture_count(),
        )

    def use_threads(self) -> None:
        """Have the network of a run compute in as many threads as are asked for; a file sees to it itself."""
        if self.threads is not None and self.path.is_dir():
            import torch

            torch.set_num_threads(self.threads)

    def source(self, places: str) -> "Named | Split":
        """What to score on. DataError if nothing says it; places: the options that do."""
        from tombola.train.evaluate import Named, Split

        if self.pictures is not None:
            return Named(
                self.pictures, self.labels, self.format_name, self.folds, self.proposals, self.split or ""
            )
        if self.path.is_dir():
            return Split(self.path, self.split or "test", self.folds)
        raise DataError(f"{self.path} does not say what to score it on: give {places}")


def model_task(model: Path) -> str:
    """What a run folder or a model file is for; TrainingError or ModelError for what is neither."""
    if model.is_dir():
        from tombola.train.run.folder import RunFolder
        from tombola.train.tasks.table import load_recipe

        check_run(model)
        return str(load_recipe(RunFolder(model).recipe_path).task)
    from tombola.runtime.load import inspect_model

    return inspect_model(model)[0].task


def picture_count() -> Callable[[int, int], None]:
    """A function that tells a terminal how many pictures of how many are done."""
    line = TerminalLine()

    def tell(done: int, total: int) -> None:
        if done < total:
            line.show(f"picture {done} of {total}")
        else:
            line.clear()

    return tell
