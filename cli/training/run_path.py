"""Whether a RUN on the command line is one."""

from pathlib import Path

from tombola.errors import TrainingError


def check_run(run: Path) -> None:
    """TrainingError unless `run` is a folder that training wrote."""
    if not (run / "recipe.toml").exists():
        raise TrainingError(
            f"{run} is not a run folder: it has no recipe.toml; give a folder that training wrote"
        )
