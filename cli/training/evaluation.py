"""What `tombola evaluate` is asked, whatever the task."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tombola.cli.options import Device
from tombola.errors import DeviceError


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

    def torch_device(self) -> str:
        """cuda or cpu, for a run, on the threads asked for. DeviceError if CUDA is asked for and absent."""
        import torch

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        available = torch.cuda.is_available()
        if self.device is Device.cuda and not available:
            raise DeviceError(
                "PyTorch sees no CUDA device; install a CUDA build of torch, or use --device cpu"
            )
        return "cuda" if available and self.device is not Device.cpu else "cpu"


class PictureCount:
    """Tells a terminal how many of `total` pictures are done."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0

    def add(self, pictures: int = 1) -> None:
        self.done += pictures
        if sys.stderr.isatty():
            text = f"picture {self.done} of {self.total}" if self.done < self.total else ""
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()
