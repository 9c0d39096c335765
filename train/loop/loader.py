"""Batches from worker processes, and their errors as if there were none."""

import dataclasses
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tombola.errors import TombolaError, TrainingError
from tombola.train.tasks.task import Task, several


def load_batches(task: Task, plan: Sequence[list[Any]], *, workers: int) -> Iterator[Any]:
    """The batches of `plan` (lists of requests) in order; what cannot be read is raised here, as itself."""
    loader = DataLoader(
        _ErrorsAsValues(task.examples()),
        batch_sampler=plan,
        collate_fn=_CollateOrError(task.collate, shared=workers > 0),
        num_workers=workers,
        prefetch_factor=3 if workers else None,
        worker_init_fn=_ignore_interrupt,
    )
    for batch in loader:
        if isinstance(batch, TombolaError):
            raise batch
        yield batch


@contextmanager
def loader_errors() -> Iterator[None]:
    """TrainingError, wherever it finds the training, if a loader process ends before its time."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        if not reason.startswith("DataLoader worker (pid"):
            raise
        if "Bus error" in reason:
            raise TrainingError(_shared_memory_is_full("a loader process was killed by it")) from None
        raise TrainingError(
            "a loader process was killed or has crashed, probably for want of memory; go on with --resume, "
            "and with fewer training.workers if it happens again (0 does without such processes)"
        ) from None


def _shared_memory_is_full(reason: str) -> str:
    return (
        f"/dev/shm is too small for the batches of the loader processes ({reason}); enlarge it (docker run "
        "--shm-size=1g), and go on with --resume, or set training.workers = 0"
    )


class _ErrorsAsValues(Dataset[Any]):
    """A batch's examples, or the error that says why one cannot be had: raised in a worker it would come
    back as a traceback in text."""

    def __init__(self, examples: Dataset[Any]) -> None:
        self.examples = examples

    def __getitems__(self, requests: Sequence[Any]) -> list[Any] | TombolaError:
        try:
            return several(self.examples, requests)
        except TombolaError as error:
            return error


class _CollateOrError:
    """The task's batch, or the error in place of its examples; shared: where other processes see it."""

    def __init__(self, collate: Callable[[Sequence[Any]], Any], *, shared: bool) -> None:
        self.collate = collate
        self.shared = shared

    def __call__(self, examples: Sequence[Any] | TombolaError) -> Any:
        if isinstance(examples, TombolaError):
            return examples
        batch = self.collate(examples)
        try:
            # Later, in the queue's own thread, a failure would be printed and the batch never come.
            for tensor in _tensors(batch) if self.shared else ():
                tensor.share_memory_()
        except RuntimeError as error:
            return TrainingError(_shared_memory_is_full(str(error).splitlines()[0]))
        return batch


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _tensors(getattr(value, field.name))
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


def _ignore_interrupt(_: int) -> None:
    # Ctrl-C reaches the workers too; they must live until the state is saved.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
