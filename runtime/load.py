"""From a model file to something that answers."""

import os
import stat
from pathlib import Path

from tombola.errors import ModelError
from tombola.runtime.contract import Contract
from tombola.runtime.detector import Detector
from tombola.runtime.graph import Graph, check_contract, read_graph
from tombola.runtime.session import open_session

MAX_MODEL_BYTES = 512 * 1024 * 1024

ModelSource = str | os.PathLike[str] | bytes

# The class that answers, by the task a file names.
READERS = {"detect": Detector}


def load(
    source: ModelSource,
    device: str = "auto",
    threads: int | None = None,
    max_bytes: int = MAX_MODEL_BYTES,
) -> Detector:
    """Load a Tombola `.onnx` file.

    source:    its path, or its bytes.
    device:    "auto" takes CUDA where it really works, else the CPU (`.device` says which,
               `.device_note` why); "cpu"; "cuda", which is a DeviceError where it cannot be had.
    threads:   CPU threads of one call; None is one for each physical core.
    max_bytes: larger files are refused before they are read.

    Raises ModelError where the file is missing, damaged, too large, or not a Tombola model of this version.
    """
    name, model = read_model(source, max_bytes)
    try:
        contract = check_contract(read_graph(model))
        return READERS[contract.task](open_session(model, device, threads), contract)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error


def inspect_model(source: ModelSource, max_bytes: int = MAX_MODEL_BYTES) -> tuple[Contract, Graph]:
    """What a file says about itself and what it is made of, without running it. Errors as for `load`."""
    name, model = read_model(source, max_bytes)
    try:
        graph = read_graph(model)
        return check_contract(graph), graph
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error


def read_model(source: ModelSource, max_bytes: int = MAX_MODEL_BYTES) -> tuple[str, bytes]:
    """A name to call the model by in messages, and its bytes."""
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


def _check_size(name: str, size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise ModelError(
            f"{name}: {size_bytes / 1e6:.0f} MB is more than the limit of {max_bytes / 1e6:.0f} MB; "
            "raise max_bytes if you trust it."
        )
