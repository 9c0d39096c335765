"""Where a network is computed."""

import torch

from tombola.errors import DeviceError


def choose_device(device: str) -> str:
    """cpu or cuda for auto, cpu or cuda; DeviceError if it is not there."""
    if device not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"device {device!r} is not known; choose auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            f"PyTorch {torch.__version__} sees no CUDA device; install a CUDA build of torch and a driver, "
            "or use --device cpu"
        )
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
