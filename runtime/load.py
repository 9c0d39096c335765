"""From a model file to something that answers."""

import os
import stat
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, overload

from tombola.errors import ModelError
from tombola.runtime.contract.contract import Contract
from tombola.runtime.model import Model
from tombola.runtime.modelfile.graph import Graph, check_contract, read_graph
from tombola.runtime.modelfile.packing import is_packed, unpack
from tombola.runtime.session.session import open_session
from tombola.runtime.tasks.caption.model import Captioner
from tombola.runtime.tasks.classify.model import Classifier
from tombola.runtime.tasks.detect.model import Detector
from tombola.runtime.tasks.generate.model import Generator
from tombola.runtime.tasks.table import TASKS

MAX_MODEL_BYTES = 512 * 1024 * 1024
MAX_SAID = 600
# Small, for it is only to see whether a device works at all.
TRIAL_SIZE_HW = (32, 32)

ModelSource = str | os.PathLike[str] | bytes | bytearray | memoryview

Task = Literal["detect", "classify", "generate", "caption"]


@overload
def load(
    source: ModelSource,
    device: str = ...,
    threads: int | None = ...,
    max_bytes: int = ...,
    *,
    deadline_s: float | None = ...,
    task: Literal["detect"],
) -> Detector: ...


@overload
def load(
    source: ModelSource,
    device: str = ...,
    threads: int | None = ...,
    max_bytes: int = ...,
    *,
    deadline_s: float | None = ...,
    task: Literal["classify"],
) -> Classifier: ...


@overload
def load(
    source: ModelSource,
    device: str = ...,
    threads: int | None = ...,
    max_bytes: int = ...,
    *,
    deadline_s: float | None = ...,
    task: Literal["generate"],
) -> Generator: ...


@overload
def load(
    source: ModelSource,
    device: str = ...,
    threads: int | None = ...,
    max_bytes: int = ...,
    *,
    deadline_s: float | None = ...,
    task: Literal["caption"],
) -> Captioner: ...


@overload
def load(
    source: ModelSource,
    device: str = ...,
    threads: int | None = ...,
    max_bytes: int = ...,
    *,
    deadline_s: float | None = ...,
    task: Task | None = ...,
) -> Detector | Classifier | Generator | Captioner: ...


def load(
    source: ModelSource,
    device: str = "auto",
    threads: int | None = None,
    max_bytes: int = MAX_MODEL_BYTES,
    *,
    deadline_s: float | None = None,
    task: Task | None = None,
) -> Model:
    """Load a Tombola `.onnx` file: a Detector, Classifier, Generator or Captioner, whichever it is.

    source:    its path, or its bytes; packed (`.onnx.gz`), too.
    device:    "auto" takes CUDA where it really works, else the CPU (`.device` says which,
               `.device_note` why); "cpu"; "cuda", which is a DeviceError where it cannot be had.
    threads:   CPU threads of one call; None is one for each physical core.
    max_bytes: larger files are refused before they are read, packed ones before they are larger.
    deadline_s: seconds that opening the file, and each answer, may take; it is then stopped between two of
               its nodes, and a ModelError says so. None is no limit. Time is all that this bounds: a file
               of a stranger belongs in a process of its own, with a limit on its memory.
    task:      "detect", "classify", "generate" or "caption" where only that will do: another file is a
               ModelError, and a type checker knows what this returns.

    Raises ModelError where the file is missing, damaged, too large, of another task than the one asked for,
    or not a Tombola model of this version.
    """
    return check_model(source, max_bytes, task=task).open(device, threads, deadline_s=deadline_s)


@dataclass(frozen=True)
class CheckedModel:
    """A model file that was read and found to be ours, and is not open yet."""

    source: ModelSource
    name: str
    content: bytes
    contract: Contract
    max_bytes: int

    def open(
        self, device: str = "auto", threads: int | None = None, *, deadline_s: float | None = None
    ) -> Model:
        """What `load` gives. Python is free while onnxruntime works: other threads can load what is next."""
        row = TASKS[self.contract.task]
        try:
            session = open_session(
                self.content,
                device,
                threads,
                deadline_s=deadline_s,
                trial_feeds=lambda: self.contract.example_feeds(TRIAL_SIZE_HW),
            )
        except ModelError as error:
            raise _of(self.name, error) from error
        options = {"max_bytes": self.max_bytes, "deadline_s": deadline_s, "task": self.contract.task}
        again = partial(load, _lasting(self.source), device, threads, **options)
        return row.model(session, self.contract, again)


def check_model(
    source: ModelSource, max_bytes: int = MAX_MODEL_BYTES, *, task: Task | None = None
) -> CheckedModel:
    """The first half of `load`, with its errors: read the file and check all that can be checked unopened."""
    name, content = read_model(source, max_bytes)
    try:
        contract = check_contract(read_graph(content))
        _check_task(contract.task, task)
    except ModelError as error:
        raise _of(name, error) from error
    return CheckedModel(source, name, content, contract, max_bytes)


def _lasting(source: ModelSource) -> ModelSource:
    """The source as another process, in another folder, finds it."""
    return bytes(source) if isinstance(source, bytes | bytearray | memoryview) else Path(source).absolute()


def _check_task(task: str, asked: str | None) -> None:
    """Refuse a file of another task before a session is spent on it."""
    if asked is not None and asked not in TASKS:
        raise ModelError(f"task: {asked!r} is not one of {', '.join(TASKS)}.")
    if asked is not None and asked != task:
        raise ModelError(
            f"its task is {task}, not {asked}; run it with `tombola {task}`, "
            f"or give a model that `tombola train` made for {asked}."
        )


def inspect_model(source: ModelSource, max_bytes: int = MAX_MODEL_BYTES) -> tuple[Contract, Graph]:
    """What a file says about itself and what it is made of, without running it. Errors as for `load`."""
    name, model = read_model(source, max_bytes)
    try:
        graph = read_graph(model)
        return check_contract(graph), graph
    except ModelError as error:
        raise _of(name, error) from error


def read_model(source: ModelSource, max_bytes: int = MAX_MODEL_BYTES) -> tuple[str, bytes]:
    """A name to call the model by in messages, and its bytes, unpacked."""
    name, content = _read(source, max_bytes)
    if not is_packed(content):
        return name, content
    try:
        return name, unpack(content, max_bytes)
    except ModelError as error:
        raise _of(name, error) from error


def _read(source: ModelSource, max_bytes: int) -> tuple[str, bytes]:
    if isinstance(source, bytes | bytearray | memoryview):
        _check_size("the model's bytes", len(source), max_bytes)
        return "the model's bytes", bytes(source)
    if not isinstance(source, str | os.PathLike):
        raise ModelError(f"cannot load a model from {type(source).__name__}; pass a path or bytes.")
    path = Path(source)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ModelError(f"{path}: is a folder, not a model file.")
        if not stat.S_ISREG(status.st_mode):  # a device or a pipe may have no end
            raise ModelError(f"{path}: is not a regular file.")
        _check_size(str(path), status.st_size, max_bytes)
        return str(path), path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error


def _of(name: str, error: ModelError) -> ModelError:
    """The error with the file's name before it; what it quotes of the file may be long, and is cut."""
    said = str(error)
    return ModelError(f"{name}: {said if len(said) <= MAX_SAID else said[:MAX_SAID] + '…'}")


def _check_size(name: str, size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise ModelError(
            f"{name}: {size_bytes / 1e6:.0f} MB is more than the limit of {max_bytes / 1e6:.0f} MB; "
            "raise max_bytes if you trust it."
        )
