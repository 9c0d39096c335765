"""Every error that Tombola raises on purpose.

    TombolaError
    ├── PictureError    a picture or video cannot be read, or is larger than the limit
    ├── ModelError      an .onnx file is not ours, is damaged, or speaks another contract
    ├── DeviceError     the asked device cannot be had
    ├── DisplayError    there is no screen or camera to use
    ├── OutputError     a result cannot be written
    ├── RecipeError     a recipe has an unknown key, a wrong type or a value out of range
    ├── DataError       a data set cannot be read or has nothing to learn from
    ├── TrainingError   a training cannot go on (loss not finite, checkpoint does not fit)
    └── ExportError     a network cannot be exported, or its file answers differently

Each message names the thing, its value and the cure, in one or two lines.
"""


class TombolaError(Exception):
    """The root: `except tombola.TombolaError` catches whatever Tombola says is wrong with its input."""


class PictureError(TombolaError):
    """A picture or video cannot be read, is empty, or is larger than the limit."""


class ModelError(TombolaError):
    """A model file is missing, damaged, of another task or of a contract this version does not read."""


class DeviceError(TombolaError):
    """The asked device (CUDA, say) cannot be had; the message names what is missing."""


class DisplayError(TombolaError):
    """There is no screen to show a window on, or no camera to read from."""


class OutputError(TombolaError):
    """A result cannot be written: no permission, no space, or the place is taken."""


class RecipeError(TombolaError):
    """A recipe has an unknown key, a wrong type or a value out of range."""


class DataError(TombolaError):
    """A data set cannot be read, contradicts itself, or holds nothing to learn from."""


class TrainingError(TombolaError):
    """A training cannot start or go on: loss not finite, weights that do not fit, a damaged checkpoint."""


class ExportError(TombolaError):
    """A network cannot be exported, or the exported file does not answer as the network does."""
