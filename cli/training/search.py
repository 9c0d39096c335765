"""`tombola search`: the best values of some keys of a recipe, by trying a grid of them."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli.options import Device, RayOption, RecipeArgument, SetOption
from tombola.cli.recipe_path import find_recipe
from tombola.cli.table import table, terminal_columns
from tombola.errors import RecipeError

if TYPE_CHECKING:
    from tombola.train.metrics.score import Score
    from tombola.train.search.axis import Axis
    from tombola.train.search.outcome import Outcome
    from tombola.train.search.search import Search

RATE = "training.learning_rate"


def search(
    recipe: RecipeArgument,
    rate: Annotated[
        str | None,
        typer.Option("--rate", metavar="VALUES", help=f"Values of {RATE}, as of any key below."),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--set-grid",
            metavar="KEY=VALUES",
            help="A key with a number, and LOW:HIGH:N (log space) or A,B,C; may be repeated.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs", min=1, metavar="N", help="Epochs of each point.", show_default="the recipe's"
        ),
    ] = None,
    changes: SetOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder.", show_default="runs/NAME-search"),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Points at once.",
            show_default="1, or what the cluster holds",
        ),
    ] = None,
    device: Annotated[Device, typer.Option("--device", help="Where to compute.")] = Device.auto,
    ray: RayOption = False,
    stop_early: Annotated[
        bool, typer.Option("--stop-early", help="With --ray: end points that fall behind.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Try a grid of values and say which are best.

    Every point is a training in a process of its own, with its run folder in DIR; also there: search.csv and
    search.png. Given again after Ctrl-C or a failure, the command goes on with what has not ended. On a
    cluster every machine needs Tombola, and the data and DIR at the same path.

    \b
    Example:
      tombola search recipe.toml --rate 1e-4:1e-1:7 --epochs 3 --jobs 2
      tombola search recipe.toml --rate 3e-4,1e-3 --set-grid training.l2=1e-6:1e-3:4 --out runs/grid
    """
    from tombola.runtime.session.threads import default_threads
    from tombola.train.loop.loop import Interrupted
    from tombola.train.search.axis import parse_axis
    from tombola.train.search.search import search_recipe

    asked = [] if rate is None else [f"{RATE}={rate}"]
    axes = [parse_axis(*_split(text)) for text in [*asked, *(ranges or ())]]
    overrides = [*(changes or ()), *([] if epochs is None else [f"training.epochs={epochs}"])]
    try:
        found = search_recipe(
            find_recipe(recipe),
            axes,
            out,
            overrides=overrides,
            jobs=jobs,
            threads=max(1, default_threads() // (jobs or 1)),
            device=device.value,
            ray=ray,
            stop_early=stop_early,
            told=lambda line: None if quiet else typer.echo(line, err=True),
        )
    except Interrupted as stop:
        typer.echo(f"{stop}; the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    typer.echo("\n".join(_told(found, terminal_columns())))
    best = found.outcomes[0]
    if best.score is None:
        raise typer.Exit(1)
    for line in _advice(best, axes):
        typer.echo(line)
    run = found.folder / best.point.name
    if epochs is None:
        typer.echo(f"Next: {shlex.join(['tombola', 'export', str(run), '-o', f'{recipe.stem}.onnx'])}")
    else:
        given = [part for change in [*(changes or ()), *best.point.overrides] for part in ("--set", change)]
        # In a place of its own: runs/NAME may be taken.
        place = ["--out", str(found.folder / "best")]
        typer.echo(f"Next: {shlex.join(['tombola', 'train', str(recipe), *place, *given])}")


def _split(text: str) -> tuple[str, str]:
    key, equals, values = text.partition("=")
    if not equals:
        raise RecipeError(f"--set-grid {text} has no '='; write it as training.l2=1e-6:1e-3:4")
    return key, values


def _told(found: "Search", columns: int | None) -> list[str]:
    """A table, best first, and where the rest is."""
    axes = found.outcomes[0].point.axes
    header = (*(axis.key for axis in axes), found.score.name, "epoch", "")
    rows = [[*outcome.point.values, *_cells(outcome, found.score)] for outcome in found.outcomes]
    lines = table(header, rows, ">" * len(axes) + ">><", columns=columns)
    return [*lines, "", f"{found.folder}: search.csv, search.png, a run folder for each point"]


def _cells(outcome: "Outcome", score: "Score") -> list[str]:
    told = "" if outcome.score is None else score.digits(outcome.score)
    said = {"failed": f"failed: {outcome.reason}", "stopped": "stopped early"}.get(outcome.state, "")
    return [told, "" if outcome.epoch is None else str(outcome.epoch), said]


def _advice(best: "Outcome", axes: list["Axis"]) -> list[str]:
    """A line for each range at whose end the best value lies: better ones may lie beyond."""
    lines = []
    for axis, value in zip(axes, best.point.values, strict=True):
        # Nothing lies below 0.
        if axis.is_range and value in (axis.values[0], axis.values[-1]) and float(value) != 0:
            lowest = float(value) == min(map(float, axis.values))
            end = "lowest" if lowest else "highest"
            lines.append(f"{axis.key}={value} is the {end} that was tried; better ones may lie beyond.")
    return lines
