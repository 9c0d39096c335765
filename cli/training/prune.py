"""`tombola prune`: winning tickets of a finished run."""

from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli.options import Device
from tombola.cli.table import table, terminal_columns

if TYPE_CHECKING:
    from tombola.train.prune.rounds import Tickets


class Rewind(StrEnum):
    theta0 = "theta0"
    thetak = "thetak"
    lrr = "lrr"
    finetune = "finetune"
    scratch = "scratch"


class Scope(StrEnum):
    everywhere = "global"
    layer = "layer"


class Schedule(StrEnum):
    geometric = "geometric"
    cubic = "cubic"


def prune(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.", show_default=False)],
    sparsity: Annotated[
        float, typer.Option("--sparsity", min=0.0, max=1.0, help="Share of weights to take, 0 to 1.")
    ] = 0.8,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="In how many rounds; 1 is one-shot.")] = 5,
    rewind: Annotated[
        Rewind, typer.Option("--rewind", help="From where a round trains; see below.")
    ] = Rewind.thetak,
    step: Annotated[
        int | None,
        typer.Option("--step", metavar="K", help="Step to rewind to.", show_default="the first one kept"),
    ] = None,
    scope: Annotated[
        Scope, typer.Option("--scope", help="Rank weights over the whole network or in each layer.")
    ] = Scope.everywhere,
    schedule: Annotated[
        Schedule, typer.Option("--schedule", help="An equal share each round, or most of it at first.")
    ] = Schedule.geometric,
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", metavar="LAYER", help="A layer, or a pattern, not to prune; repeatable."),
    ] = None,
    half_rate: Annotated[
        list[str] | None,
        typer.Option("--half-rate", metavar="LAYER", help="A layer to take half the share of; repeatable."),
    ] = None,
    biases: Annotated[bool, typer.Option("--biases", help="Prune biases too.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder.", show_default="RUN-tickets")
    ] = None,
    device: Annotated[Device, typer.Option("--device", help="Where to compute.")] = Device.auto,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Search a winning ticket: take the smallest weights away, rewind, train again, repeat.

    A round begins from the first weights (theta0), from those of an early step (thetak), from the trained
    ones with the schedule replayed (lrr) or at a tenth of the rate (finetune), or from new ones (scratch, a
    control). Each is a run folder in DIR with its mask; there too: tickets.csv and tickets.png. Given again
    after Ctrl-C, the command goes on to the same result.

    \b
    Example:
      tombola prune runs/mine --sparsity 0.8 --rounds 5
      tombola prune runs/mine --rewind lrr --rounds 1 --leave-out stem --out runs/one-shot
    """
    from tombola.train.loop.loop import Interrupted
    from tombola.train.prune.rounds import find_tickets
    from tombola.train.prune.settings import PruneSettings
    from tombola.train.run.device import choose_device

    settings = PruneSettings(
        sparsity=sparsity,
        rounds=rounds,
        schedule=schedule.value,
        rewind=rewind.value,
        step=step,
        scope=scope.value,
        leave_out=tuple(leave_out or ()),
        half_rate=tuple(half_rate or ()),
        biases=biases,
    )
    try:
        found = find_tickets(
            run,
            out,
            settings,
            device=choose_device(device.value),
            told=lambda line: None if quiet else typer.echo(line, err=True),
            quiet=quiet,
        )
    except Interrupted as stop:
        typer.echo(f"{stop}; the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    typer.echo("\n".join(_told(found, terminal_columns())))


def _told(found: "Tickets", columns: int | None) -> list[str]:
    """A line a round, and the smallest ticket that is as good as the dense run."""
    score = found.score
    rows = [["0", "100.0 %", "", score.digits(found.dense_score), str(found.dense_steps)]]
    for row in found.rounds:
        steps = "never" if row.steps_to_dense is None else str(row.steps_to_dense)
        share = f"{100 * row.living / row.total:.1f} %"
        rows.append(
            [str(row.number), share, score.digits(row.score_before), score.digits(row.score_after), steps]
        )
    header = ("round", "weights left", "as cut", score.name, "steps to dense")
    winners = [row for row in found.rounds if score.rank(row.score_after) <= score.rank(found.dense_score)]
    lines = [*table(header, rows, ">>>>>", columns=columns), ""]
    if not winners:
        return [*lines, f"No ticket reaches the dense score. {found.folder}: tickets.csv, tickets.png"]
    best = winners[-1]
    ticket = found.folder / f"round-{best.number}"
    return [
        *lines,
        f"{100 * best.living / best.total:.1f} % of the weights reach the dense score: {ticket}",
        f"Next: tombola export {quote(str(ticket))}",
    ]
