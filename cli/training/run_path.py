"""Whether a RUN on the command line is one."""

from pathlib import Path


def check_run(run: Path) -> None:
    """TrainingError unless `run` is a folder that training wrote."""
    from tombola.train.run.folder import RunFolder

    RunFolder(run).check()
