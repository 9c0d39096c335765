"""The models that come with Tombola."""

from pathlib import Path

from tombola.cli.tasks import TASKS
from tombola.errors import ModelError


def model_or_shipped(model: Path | None, task: str = "detect") -> Path:
    """`model` if one is given, else the one that ships for `task`; ModelError if that is not installed."""
    if model is not None:
        return model
    from tombola.runtime import models

    path = Path(models.__path__[0]) / TASKS[task].shipped
    if not path.is_file():
        raise ModelError(
            f"no model ships with this installation ({path} is not there); give one by --model FILE."
        )
    return path
