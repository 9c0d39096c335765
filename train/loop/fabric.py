"""Where a training computes: device, precision, processes."""

from lightning_fabric import Fabric


def open_fabric(precision: str, *, device: str, processes: int) -> Fabric:
    """A launched Fabric; `processes` > 1 means that torchrun started as many of us."""
    fabric = Fabric(
        accelerator=device,
        devices=processes if device == "cpu" else "auto" if processes > 1 else 1,
        strategy="ddp" if processes > 1 else "auto",
        precision=precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric
