"""`tombola train`: labelled pictures become a run folder."""

import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli.options import Device, RecipeArgument, SetOption
from tombola.cli.recipe_path import find_recipe
from tombola.errors import OutputError

if TYPE_CHECKING:
    from tombola.train.run.folder import RunFolder


def train(
    recipe: RecipeArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="RUN", help="Folder of the run.", show_default="runs/NAME"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run stopped.")] = False,
    preflight: Annotated[
        bool,
        typer.Option("--preflight", help="Do not train: look for what would make the training fail."),
    ] = False,
    reestimate: Annotated[
        bool,
        typer.Option(
            "--reestimate", help="RECIPE is a run: estimate its batch norms anew over training pictures."
        ),
    ] = False,
    budget_minutes: Annotated[
        float | None,
        typer.Option(
            "--budget",
            min=0.1,
            metavar="MINUTES",
            help="How long --preflight may take, about.",
            show_default="10",
        ),
    ] = None,
    changes: SetOption = None,
    device: Annotated[Device, typer.Option("--device", help="Where to compute.")] = Device.auto,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Train a model by a recipe.

    Writes weights, metrics.csv and curves.png to the run folder. Ctrl-C saves the state first; --resume
    goes on to the same result as if nothing had happened, also with other training.workers or with
    pictures that have moved (data.root), and goes on longer with more training.epochs; RECIPE may then be
    the run folder. Several processes: start it under torchrun.

    --preflight examines labels, inputs, first weights, gradients, learning rate and augmentation in
    seconds to minutes (--budget), writes preflight.json and range_test.png, and exits 1 if it finds a fault.

    --reestimate does not train: RUN/reestimated.safetensors are the best weights with the means and variances
    of batch norm measured over training pictures, to be exported by --weights reestimated.

    \b
    Example:
      tombola train recipe.toml --out runs/first --preflight
      tombola train recipe.toml --out runs/first --set training.epochs=3
      tombola train recipe.toml --out runs/first --set training.epochs=3 --resume
      tombola train runs/first --reestimate
    """
    if reestimate:
        if resume or preflight or out or changes or quiet or budget_minutes or device is not Device.auto:
            raise typer.BadParameter("--reestimate takes a run and no other option; leave them out")
        from tombola.train.prune.reestimate import reestimate_run

        typer.echo(reestimate_run(recipe).told())
        return
    if preflight:
        if resume:
            raise typer.BadParameter("--preflight begins anew; leave --resume out")
        from tombola.cli.training.preflight_print import print_preflight

        told = print_preflight(
            recipe, out, changes or (), device.value, budget_minutes=budget_minutes or 10, quiet=quiet
        )
        raise typer.Exit(told)
    if budget_minutes is not None:
        raise typer.BadParameter("--budget is the preflight's; add --preflight")
    from tombola.train.loop.loop import Interrupted
    from tombola.train.train import train_recipe

    _keep_streams_open()
    if resume and recipe.is_dir():
        recipe, out = recipe / "recipe.toml", out or recipe
    try:
        run = train_recipe(
            find_recipe(recipe), out, overrides=changes or (), resume=resume, device=device.value, quiet=quiet
        )
    except Interrupted as stop:
        typer.echo(str(stop), err=True)
        raise typer.Exit(130) from None
    if os.environ.get("RANK", "0") == "0":
        _print_told(run)


def _keep_streams_open() -> None:
    """A standard stream that is closed would give its number to the next file, and that what is printed."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _print_told(run: "RunFolder") -> None:
    try:
        typer.echo(_told(run))
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what Python still holds goes there when it ends
        raise OutputError(
            f"{run.path} is trained, but stdout takes no more ({error.strerror}); see "
            f"{run.path / 'report.html'}"
        ) from None


def _told(run: "RunFolder") -> str:
    from tombola.train.tasks.table import TASKS, load_recipe

    score = TASKS[load_recipe(run.recipe_path).task].score
    best = score.best(run.read_metrics())
    told = "" if best is None else f": best {score.name} {score.tell(best[score.key])}"
    return f"{run.path}{told}\nNext: tombola export {quote(str(run.path))}"
