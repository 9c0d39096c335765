"""Batches from worker processes, and their errors as if there were none."""

import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset

from tombola.errors import TombolaError
from tombola.train.tasks.task import Task


def load_batches(task: Task, plan: Sequence[list[Any]], *, workers: int) -> Iterator[Any]:
    """The batches of `plan` (lists of requests) in order; what cannot be read is raised here, as itself."""
    loader = DataLoader(
        _ErrorsAsValues(task.examples()),
        batch_sampler=plan,
        collate_fn=_CollateOrError(task.collate),
        num_workers=workers,
        prefetch_factor=3 if workers else None,
        worker_init_fn=_ignore_interrupt,
    )
    for batch in loader:
        if isinstance(batch, TombolaError):
            raise batch
        yield batch


class _ErrorsAsValues(Dataset[Any]):
    """Examples, or the error that says why one cannot be had: raised in a worker it would come back as a
    traceback in text."""

    def __init__(self, examples: Dataset[Any]) -> None:
        self.examples = examples

    def __getitem__(self, request: Any) -> Any:
        try:
            return self.examples[request]
        except TombolaError as error:
            return error


class _CollateOrError:
    """The task's batch, or the first error among its examples."""

    def __init__(self, collate: Callable[[Sequence[Any]], Any]) -> None:
        self.collate = collate

    def __call__(self, examples: Sequence[Any]) -> Any:
        errors = [example for example in examples if isinstance(example, TombolaError)]
        return errors[0] if errors else self.collate(examples)


def _ignore_interrupt(_: int) -> None:
    # Ctrl-C reaches the workers too; they must live until the state is saved.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
