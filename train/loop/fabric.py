"""Where a training computes: device, precision, processes."""

from collections.abc import Sequence

from lightning_fabric import Fabric
from lightning_fabric.loggers.logger import Logger


def open_fabric(precision: str, *, device: str, processes: int, loggers: Sequence[Logger] = ()) -> Fabric:
    """A launched Fabric; `processes` > 1 means that torchrun started as many of us."""
    fabric = Fabric(
        accelerator=device,
        devices=processes if device == "cpu" else "auto" if processes > 1 else 1,
        strategy="ddp" if processes > 1 else "auto",
        precision=precision,  # type: ignore[arg-type]
        loggers=list(loggers),
    )
    fabric.launch()
    return fabric
