"""The models that come with Tombola."""

from pathlib import Path

from tombola.errors import ModelError

DETECTOR = "voc-detector.onnx"
CLASSIFIER = "fashion-mnist-classifier.onnx"


def model_or_shipped(model: Path | None, name: str = DETECTOR) -> Path:
    """`model` if one is given, else the one that ships as `name`; ModelError if that is not installed."""
    if model is not None:
        return model
    from tombola.runtime import models

    path = Path(models.__path__[0]) / name
    if not path.is_file():
        raise ModelError(
            f"no model ships with this installation ({path} is not there); give one by --model FILE."
        )
    return path
