"""Tombola: vision models as one `.onnx` file, picture in, answer out.

>>> import tombola
>>> detector = tombola.load("detector.onnx", task="detect")        # doctest: +SKIP
>>> detections = detector("photo.jpg")                             # doctest: +SKIP
>>> classifier = tombola.load("classifier.onnx", task="classify")  # doctest: +SKIP
>>> classifier("photo.jpg").top(3)                                 # doctest: +SKIP
>>> generator = tombola.load("generator.onnx", task="generate")    # doctest: +SKIP
>>> generator.sample(64, seed=1).save("grid.png")                  # doctest: +SKIP
>>> captioner = tombola.load("captioner.onnx", task="caption")     # doctest: +SKIP
>>> captioner("photo.jpg").text                                    # doctest: +SKIP
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tombola.errors import (
    DataError,
    DeviceError,
    DisplayError,
    ExportError,
    ModelError,
    OutputError,
    PictureError,
    RecipeError,
    TombolaError,
    TrainingError,
)

if TYPE_CHECKING:
    from tombola.runtime.load import load
    from tombola.runtime.tasks.caption.answer import Caption, Captions
    from tombola.runtime.tasks.caption.model import Captioner
    from tombola.runtime.tasks.classify.answer import Classification, Prediction
    from tombola.runtime.tasks.classify.model import Classifier
    from tombola.runtime.tasks.detect.answer import Detection, Detections
    from tombola.runtime.tasks.detect.model import Detector
    from tombola.runtime.tasks.generate.answer import Generated
    from tombola.runtime.tasks.generate.model import Generator

# From 1.29 on onnxruntime sends usage data to Microsoft unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# OpenCV reads these when it is imported: a picture that hides its size from our own limit stops there.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_WIDTH", str(1 << 20))
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_HEIGHT", str(1 << 20))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what it complains of is told once, as our error

__version__ = "0.1.0"

__all__ = [
    "Caption",
    "Captioner",
    "Captions",
    "Classification",
    "Classifier",
    "DataError",
    "Detection",
    "Detections",
    "Detector",
    "DeviceError",
    "DisplayError",
    "ExportError",
    "Generated",
    "Generator",
    "ModelError",
    "OutputError",
    "PictureError",
    "Prediction",
    "RecipeError",
    "TombolaError",
    "TrainingError",
    "load",
]

# Imported on first use, so that `import tombola.train` does not load onnxruntime, nor the runtime torch.
_HOMES = {
    "Caption": "tombola.runtime.tasks.caption.answer",
    "Captioner": "tombola.runtime.tasks.caption.model",
    "Captions": "tombola.runtime.tasks.caption.answer",
    "Classification": "tombola.runtime.tasks.classify.answer",
    "Classifier": "tombola.runtime.tasks.classify.model",
    "Detection": "tombola.runtime.tasks.detect.answer",
    "Detections": "tombola.runtime.tasks.detect.answer",
    "Detector": "tombola.runtime.tasks.detect.model",
    "Generated": "tombola.runtime.tasks.generate.answer",
    "Generator": "tombola.runtime.tasks.generate.model",
    "Prediction": "tombola.runtime.tasks.classify.answer",
    "load": "tombola.runtime.load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tombola' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """What programs may use, and nothing that only happens to be imported here."""
    return [*__all__, "__version__"]
