"""The models that come with Tombola."""

from pathlib import Path

from tombola.cli.tasks import TASKS
from tombola.errors import ModelError


def model_or_shipped(model: Path | None, task: str = "detect") -> Path:
    """`model` if one is given, else the one that ships for `task`; ModelError if that is not installed."""
    if model is not None:
        return model
    from tombola.runtime import models

    name = TASKS[task].shipped
    if not name:
        raise ModelError(f"no model ships that can {task}; give one by --model FILE.")
    path = Path(models.__path__[0]) / name
    if not path.is_file():
        raise ModelError(
            f"no model ships with this installation ({path} is not there); give one by --model FILE."
        )
    return path
