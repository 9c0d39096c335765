"""What `tombola evaluate` is asked, whatever the task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tombola.cli.options import Device
from tombola.errors import DataError
from tombola.terminal_line import TerminalLine


@dataclass(frozen=True)
class Evaluated:
    """A run or a model file, and the pictures to score it on.

    labels, pictures, format_name: those named instead of the recipe's. pictures is None where none are named;
    labels, a file or a folder, is None where the pictures say theirs. split, weights: which ones of a run.
    score, pr_curve: of detectors; confusions: of classifiers; json: print JSON.
    """

    path: Path
    labels: Path | None
    pictures: Path | None
    format_name: str | None
    folds: Sequence[str]
    split: str
    weights: str
    device: Device
    threads: int | None
    score: float | None
    pr_curve: Path | None
    confusions: Path | None
    json: bool

    def scores(self, task: str, answers: Callable[[Any], Callable[[Any], Any]], places: str) -> Any:
        """Scores of a run's network in PyTorch, or of a model file as it will run on the device.

        answers: a loaded model -> the function of a picture that is scored. places: the options that say what
        to score a file on. Raises DataError without them.
        """
        from tombola.train.evaluate import Named, evaluate_model, evaluate_run

        named = None
        if self.pictures is not None:
            named = Named(self.pictures, self.labels, self.format_name, self.folds)
        if self.path.is_dir():
            if self.threads is not None:
                import torch

                torch.set_num_threads(self.threads)
            return evaluate_run(
                self.path,
                weights=self.weights,
                split=self.split,
                folds=self.folds,
                named=named,
                device=self.device.value,
                tell=_picture_count(),
            )
        from tombola.runtime.load import load

        model = load(self.path, self.device.value, self.threads)
        if named is None:
            raise DataError(f"{self.path} does not say what to score it on: give {places}")
        return evaluate_model(task, answers(model), model.labels, named, tell=_picture_count())


def _picture_count() -> Callable[[int, int], None]:
    """A function that tells a terminal how many pictures of how many are done."""
    line = TerminalLine()

    def tell(done: int, total: int) -> None:
        if done < total:
            line.show(f"picture {done} of {total}")
        else:
            line.clear()

    return tell
