"""The model that comes with Tombola."""

from pathlib import Path

from tombola.errors import ModelError

DETECTOR = "voc-detector.onnx"


def model_or_shipped(model: Path | None) -> Path:
    """`model` if one is given, else the detector that ships; ModelError if this installation has none."""
    if model is not None:
        return model
    from tombola.runtime import models

    path = Path(models.__path__[0]) / DETECTOR
    if not path.is_file():
        raise ModelError(
            f"no model ships with this installation ({path} is not there); give one by --model FILE."
        )
    return path
