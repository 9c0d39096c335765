"""`tombola report`: a run folder becomes a page that tells what is wrong with it."""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli.options import Device
from tombola.cli.training.run_path import check_run


def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder that training wrote.", show_default=False)
    ],
    device: Annotated[Device, typer.Option("--device", help="Where to compute.")] = Device.auto,
) -> None:
    """Write report.html of a run: curves, findings in sentences, layers, and the worst mistakes as pictures.

    The page needs nothing beside it. Training writes it when it ends; this command writes it anew, also of a
    training that is still running. It reads the validation pictures of the run's recipe.

    \b
    Example:
      tombola report runs/first
    """
    from tombola.train.doctor.report import write_report
    from tombola.train.loop.progress import ProgressLine
    from tombola.train.run.device import choose_device
    from tombola.train.run.folder import RunFolder
    from tombola.train.tasks.table import open_task

    check_run(run)
    folder = RunFolder(run)
    task = open_task(folder.recipe_path)
    progress = ProgressLine(0, quiet=False)
    path = write_report(folder, task, device=choose_device(device.value), tell=progress.judge)
    progress.clear()
    typer.echo(str(path))
