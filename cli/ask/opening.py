"""A model on its way: it is opened on a thread, begun before the command's own code is imported.

onnxruntime lets Python go on while it builds a session, for as long as all imports take. What the command
line asks for is guessed from its words alone; a wrong guess costs time, never an answer.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, cast

from tombola.cli.shipped import model_or_shipped
from tombola.cli.tasks import TASKS

if TYPE_CHECKING:
    from tombola.runtime.load import CheckedModel, Task

# A task, its model, device and threads.
Wanted = tuple["Task", Path | None, str, int | None]

# The words of a command line that say which model, and how it is to run.
_SAY = {"--model": "model", "-m": "model", "--device": "device", "--threads": "threads"}

_early: "list[Opening]" = []


class Opening(Thread):
    """Opens the model of a task: `model`, or the one that ships, on `device` with `threads`.

    Not a daemon: Python must not end while onnxruntime builds a session.
    """

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(name=f"open {wanted[1] or wanted[0]}")
        self.wanted = wanted
        self._is_read = Event()
        self._file: CheckedModel | None = None
        self._model: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        task, model, device, threads = self.wanted
        try:
            from tombola.runtime.load import check_model

            self._file = check_model(model_or_shipped(model, task), task=task)
            self._is_read.set()
            self._model = self._file.open(device, threads)
        except BaseException as error:  # raised again where the model is asked for
            self._error = error
        finally:
            self._is_read.set()

    def file(self) -> "CheckedModel":
        """The file, read and checked; what was wrong with it is raised."""
        self._is_read.wait()
        if self._file is None:
            assert self._error is not None
            raise self._error
        return self._file

    def model(self) -> Any:
        """The model, open; what was wrong with it is raised."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._model


def open_early(command: str, arguments: Sequence[str]) -> None:
    """Begin to open what `tombola COMMAND ARGUMENTS` will ask for, if it is plain what that is."""
    wanted = guess(command, arguments)
    # A shell that completes a command line wants words, no model.
    if wanted is not None and not any(name.endswith("_COMPLETE") for name in os.environ):
        one_thread_of_numpy()
        _early.append(Opening(wanted))


def opening(wanted: Wanted) -> Opening:
    """The model that is wanted: the one that was begun early if it is that one."""
    early = _early.pop() if _early else None
    return early if early is not None and early.wanted == wanted else Opening(wanted)


def guess(command: str, arguments: Sequence[str]) -> Wanted | None:
    """What a command line that answers sources asks for; None where it asks for nothing, or for help."""
    if command not in TASKS or not arguments or {"--help", "-h"} & set(arguments):
        return None
    said: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        option, _, value = word.partition("=")
        if option in _SAY:
            said[_SAY[option]] = value or next(words, "")
    threads = said.get("threads", "")
    if threads and not threads.isdecimal():
        return None
    model = said.get("model")
    return (
        cast("Task", command),
        Path(model) if model else None,
        said.get("device", "auto"),
        int(threads) if threads else None,
    )


def one_thread_of_numpy() -> None:
    """To be called before numpy is imported."""
    # It starts a thread for each core to multiply matrices; nothing here does, and they cost 40 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
