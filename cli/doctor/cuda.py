"""Whether CUDA can work here: the driver, each library by name, and what a session really gets."""

import ctypes
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tombola.cli.doctor.checks import Check

CUDA_CURE = "pip install 'onnxruntime-gpu[cuda,cudnn]'"


def cuda_libraries(cuda_version: str, system: str = sys.platform) -> tuple[str, ...]:
    """File names that onnxruntime's CUDA provider opens; cuda_version is what it was built with ("13.0")."""
    major = int(cuda_version.split(".")[0])
    cufft = 11 if major <= 12 else 12
    if system == "win32":
        return (
            f"cudart64_{major}.dll",
            f"cublasLt64_{major}.dll",
            f"cublas64_{major}.dll",
            f"cufft64_{cufft}.dll",
            "cudnn64_9.dll",
        )
    return (
        f"libcudart.so.{major}",
        f"libcublasLt.so.{major}",
        f"libcublas.so.{major}",
        "libcurand.so.10",
        f"libcufft.so.{cufft}",
        f"libnvrtc.so.{major}",
        "libcudnn.so.9",
    )


def where_found(name: str, path: Sequence[str] | None = None) -> str | None:
    """Where the library `name` is: its file in NVIDIA's wheels on `path` (default: sys.path), or
    "system" if the loader finds it; None if it is nowhere.
    """
    for entry in sys.path if path is None else path:
        found = next(Path(entry, "nvidia").glob(f"**/{name}"), None)
        if found:
            return str(found)
    try:
        ctypes.CDLL(name)
    except OSError:
        return None
    return "system"


def check_cuda(
    libraries: Sequence[str],
    driver: str,
    find: Callable[[str], str | None] = where_found,
) -> list[Check]:
    """The driver and each library. Without a driver there is no GPU to use and nothing is broken."""
    if find(driver) is None:
        return [
            Check("NVIDIA driver", "absent", f"{driver} not found: no NVIDIA GPU here, or no driver for it")
        ]
    found = [(name, find(name)) for name in libraries]
    return [
        Check("NVIDIA driver", "ok", driver),
        *(Check(name, "ok", where) for name, where in found if where is not None),
        *(Check(name, "broken", "not found", CUDA_CURE) for name, where in found if where is None),
    ]


def check_providers(
    listed: Sequence[str], gpu_present: bool, open_on: Callable[[str], object]
) -> list[Check]:
    """What each device gives when a session is opened on it.

    listed:  onnxruntime's own list, which names CUDA wherever its code is built in.
    open_on: opens a session on "cpu" or "cuda"; raises what went wrong.
    """
    checks = []
    for device, provider in (("cpu", "CPUExecutionProvider"), ("cuda", "CUDAExecutionProvider")):
        if provider not in listed:
            checks.append(Check(device, "absent", f"this onnxruntime was built without {provider}"))
            continue
        if device == "cuda" and not gpu_present:
            checks.append(Check(device, "absent", "built in, but there is no NVIDIA driver here"))
            continue
        try:
            open_on(device)
        except Exception as error:  # whatever onnxruntime throws is the finding
            checks.append(Check(device, "broken", f"built in, but does not load: {error}"))
        else:
            checks.append(Check(device, "ok", "a session on it runs"))
    return checks
