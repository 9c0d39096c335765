"""Loader processes that die, or have no room to share memory: an error with its cure, and no waiting."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tombola.errors import DataError, TrainingError
from tombola.train.loop.loader import load_batches, loader_errors


@dataclass(frozen=True)
class Batch:
    images: Tensor
    notes: tuple[dict[str, Tensor], ...]


class Examples(Dataset[int]):
    """The requests; 7 kills the process that reads it, 8 cannot be read, 9 is a mistake of ours."""

    def __getitem__(self, request: int) -> int:
        if request == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        if request == 8:
            raise DataError("picture 8 cannot be read")
        if request == 9:
            raise RuntimeError("a mistake")
        return request


def collate(examples: Sequence[int]) -> Batch:
    return Batch(torch.tensor(examples), ({"twice": 2 * torch.tensor(examples), "none": torch.empty(0)},))


def batches(plan: list[list[int]], workers: int = 1) -> list[Batch]:
    task: Any = SimpleNamespace(examples=Examples, collate=collate)
    with loader_errors():
        return list(load_batches(task, plan, workers=workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_whole_and_in_order(workers: int) -> None:
    got = batches([[1, 2], [3], [4, 5]], workers)
    assert [batch.images.tolist() for batch in got] == [[1, 2], [3], [4, 5]]
    assert [batch.notes[0]["twice"].tolist() for batch in got] == [[2, 4], [6], [8, 10]]
    assert got[0].notes[0]["none"].numel() == 0


def test_a_loader_process_that_is_killed_ends_the_training_with_a_cure() -> None:
    with pytest.raises(TrainingError, match=r"was killed.*want of memory.*--resume.*training\.workers"):
        batches([[1, 2], [7, 3], [4, 5]])


def test_no_room_in_shared_memory_is_said_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Tensor) -> Tensor:
        raise RuntimeError("unable to write: No space left on device (28)")

    monkeypatch.setattr(Tensor, "share_memory_", full)
    with pytest.raises(TrainingError, match=r"/dev/shm is too small.*No space left.*--shm-size.*workers = 0"):
        batches([[1, 2]])
    assert len(batches([[1, 2]], workers=0)) == 1


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("DataLoader worker (pid 5) is killed by signal: Bus error. It is possible", "/dev/shm is too small"),
        ("DataLoader worker (pid(s) 5, 6) exited unexpectedly", "was killed or has crashed"),
    ],
)
def test_how_a_process_ended_says_why(said: str, wanted: str) -> None:
    with pytest.raises(TrainingError, match=wanted), loader_errors():
        raise RuntimeError(said)


@pytest.mark.parametrize("workers", [0, 1])
def test_other_errors_stay_what_they_are(workers: int) -> None:
    with pytest.raises(DataError, match="picture 8"):
        batches([[1], [8, 2]], workers)
    with pytest.raises(RuntimeError, match="a mistake"):
        batches([[9]], workers)
