"""Which of CUDA's libraries are missing here. Nothing is installed or downloaded."""

import contextlib
import ctypes
import io
import re
import sys
from pathlib import Path

import onnxruntime as ort

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
PROVIDER = "onnxruntime_providers_cuda.dll" if sys.platform == "win32" else "libonnxruntime_providers_cuda.so"


def has_cuda_build() -> bool:
    """Whether the installed onnxruntime was built with CUDA; says nothing about this machine."""
    return "CUDAExecutionProvider" in ort.get_available_providers()


def has_driver() -> bool:
    """Whether NVIDIA's driver library can be opened: without it nothing else needs to be tried."""
    return _load_error(DRIVER) is None


def preload() -> str:
    """Load CUDA and cuDNN from where pip puts them, so that no search path must be set.

    Returns what onnxruntime printed about those it could not find.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        ort.preload_dlls()
    return printed.getvalue()


def missing_libraries() -> list[str]:
    """Names of the libraries CUDA needs and this machine lacks; empty where all can be opened."""
    missing = [] if has_driver() else [DRIVER]
    missing += re.findall(r"Failed to load (\S+?):", preload())
    error = _load_error(str(Path(ort.__file__).parent / "capi" / PROVIDER))
    if error is not None:
        missing.append(error.partition(":")[0])
    return list(dict.fromkeys(missing))


def _load_error(name: str) -> str | None:
    try:
        ctypes.CDLL(name)
    except OSError as error:
        return str(error)
    return None
