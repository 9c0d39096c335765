"""`tombola prune`: winning tickets of a finished run."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli.options import Device, RayOption, option_name
from tombola.cli.table import table, terminal_columns
from tombola.cli.training.target import Target, read_target

if TYPE_CHECKING:
    from tombola.train.prune.cost import Cost
    from tombola.train.prune.structured import Cut
    from tombola.train.prune.weights.rounds import Tickets

# What has a meaning in one of the ways to prune alone.
MASKS_ALONE = ("sparsity", "rounds", "scope", "schedule", "half_rate", "biases")
CHANNELS_ALONE = ("keep", "target_latency", "target_size", "target_macs", "max_drop", "block", "distill")
STUDY_ALONE = ("seeds", "jobs", "ray")
RUN_ALONE = ("structured", "rewind", "step", "leave_out", "device")


class Rewind(StrEnum):
    theta0 = "theta0"
    thetak = "thetak"
    lrr = "lrr"
    finetune = "finetune"
    scratch = "scratch"


class ChannelScore(StrEnum):
    ticket = "ticket"
    l1 = "l1"
    taylor = "taylor"
    bn_scale = "bn_scale"
    random = "random"
    least_squares = "least_squares"


class Scope(StrEnum):
    everywhere = "global"
    layer = "layer"


class Schedule(StrEnum):
    geometric = "geometric"
    cubic = "cubic"


class Study(StrEnum):
    lenet = "lenet"
    late = "late"
    channels = "channels"


def prune(
    context: typer.Context,
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="Folder of a finished run.", show_default=False)
    ] = None,
    sparsity: Annotated[
        float, typer.Option("--sparsity", min=0.0, max=1.0, help="Share of weights to take, 0 to 1.")
    ] = 0.8,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="In how many rounds; 1 is one-shot.")] = 5,
    structured: Annotated[
        ChannelScore | None,
        typer.Option("--structured", help="Cut whole channels, the least by this score.", show_default=False),
    ] = None,
    keep: Annotated[
        float, typer.Option("--keep", min=0.0, max=1.0, help="Share of the channels to keep, 0 to 1.")
    ] = 0.5,
    target_latency: Annotated[
        str | None,
        typer.Option(
            "--target-latency",
            metavar="5ms",
            help="Cut until a 1080p frame takes this long here.",
            show_default=False,
        ),
    ] = None,
    target_size: Annotated[
        str | None,
        typer.Option(
            "--target-size", metavar="1MB", help="Cut until the file is this small.", show_default=False
        ),
    ] = None,
    target_macs: Annotated[
        str | None,
        typer.Option(
            "--target-macs",
            metavar="25%",
            help="Cut until this share of the arithmetic is left.",
            show_default=False,
        ),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            "--max-drop",
            min=0.0,
            metavar="POINTS",
            help="Cut as far as the score falls by this, before training again.",
            show_default=False,
        ),
    ] = None,
    block: Annotated[
        int, typer.Option("--block", min=1, help="Keep a multiple of as many channels; 8 or 16 run fast.")
    ] = 8,
    distill: Annotated[
        bool,
        typer.Option(
            "--distill/--no-distill", help="Learn from RUN's network again, too, or from labels alone."
        ),
    ] = True,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change the recipe it trains by; with --structured or --study; repeatable.",
        ),
    ] = None,
    rewind: Annotated[
        Rewind | None,
        typer.Option(
            "--rewind",
            help="From where it trains again; see below.",
            show_default="thetak, lrr with --structured",
        ),
    ] = None,
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
        typer.Option(
            "--leave-out", metavar="LAYER", help="A layer or axis, or a pattern, not to prune; repeatable."
        ),
    ] = None,
    half_rate: Annotated[
        list[str] | None,
        typer.Option("--half-rate", metavar="LAYER", help="A layer to take half the share of; repeatable."),
    ] = None,
    biases: Annotated[bool, typer.Option("--biases", help="Prune biases too.")] = False,
    study: Annotated[
        Study | None,
        typer.Option(
            "--study", help="Without RUN: all controls of one network, in one report.", show_default=False
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=2, metavar="N", help="At most so many seeds in a study.")
    ] = 5,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Processes of a study.",
            show_default="1, with --ray all it has",
        ),
    ] = None,
    ray: RayOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder.",
            show_default="RUN-tickets, RUN-SCORE, runs/study-NAME",
        ),
    ] = None,
    device: Annotated[Device, typer.Option("--device", help="Where to compute.")] = Device.auto,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Search a winning ticket: take the smallest weights away, rewind, train again, repeat.

    A round begins from the first weights (theta0), from those of an early step (thetak), from the trained
    ones with the schedule replayed (lrr) or at a tenth of the rate (finetune), or from new ones (scratch, a
    control). Each is a run folder in DIR with its mask; there too: tickets.csv and tickets.png. Given again
    after Ctrl-C, the command goes on to the same result.

    --structured cuts whole channels instead, which makes the file smaller and the picture faster; DIR is the
    narrow run. ticket: what a mask left alive (RUN is a round); l1, bn_scale: the size of weights, of batch
    norms; taylor: the effect on the loss; random: the control; least_squares: what the next layer, fitted
    anew on a few pictures, misses least. With a target, or --max-drop, channels go from where they cost most
    and are missed least; how long each layer takes at each width is measured on this machine first.

    --study lenet needs no run: it trains LeNet-300-100 on MNIST, its tickets and all that they must be held
    to (other first weights, other masks, other widths, other orders of the pictures), and writes report.md,
    study.csv and pictures to DIR. About 40 minutes of one core. --study late does so for ResNet-20 on
    Fashion-MNIST, rewound to the first weights and to those of an early step; --study channels for half and a
    quarter of the channels of the classifier that ships, by several scores, beside random ones, scratch and
    the dense network. These take many hours; fewer by --set training.epochs=2. A study goes on after a stop.
    On a cluster (--ray) every machine needs Tombola, and DIR, the data and this folder at the same paths.

    \b
    Example:
      tombola prune runs/mine --sparsity 0.8 --rounds 5
      tombola prune runs/mine --rewind lrr --rounds 1 --leave-out stem --out runs/one-shot
      tombola prune runs/mine --structured l1 --keep 0.5
      tombola prune runs/mine --structured least_squares --target-latency 5ms --max-drop 3
      tombola prune --study lenet --set data.root=mnist --jobs 2
      tombola prune --study channels --seeds 3 --set training.epochs=2
    """
    _check_together(context, way="study" if study else "structured" if structured else "masks")
    if (run is None) == (study is None):
        raise typer.BadParameter("give a RUN to prune, or --study without one")
    target = read_target(latency=target_latency, size=target_size, macs=target_macs)
    is_budget = target is not None or max_drop is not None
    if is_budget and _is_given(context, "keep"):
        raise typer.BadParameter("--keep tells what stays of each axis, a target or --max-drop finds it out")
    from tombola.train.loop.loop import Interrupted
    from tombola.train.run.device import choose_device

    def told(line: str) -> None:
        if not quiet:
            typer.echo(line, err=True)

    chosen = choose_device(device.value)
    try:
        if run is None:
            from tombola.train.studies.table import run_study

            assert study is not None
            folder = out or Path("runs") / f"study-{study.value}"
            claims = run_study(
                study.value, folder, changes=changes or (), seeds=seeds, jobs=jobs, ray=ray, told=told
            )
            typer.echo("\n".join([*claims, "", f"{folder}: report.md, study.csv, pictures"]))
            return
        if structured is not None:
            from tombola.train.prune.structured import CutSettings, cut_channels

            wanted = CutSettings(
                score=structured.value,
                keep=keep,
                block=block,
                leave_out=tuple(leave_out or ()),
                target=target.amount if target else None,
                max_drop=max_drop,
                rewind=(rewind or Rewind.lrr).value,
                step=step,
                distill=distill,
                changes=tuple(changes or ()),
            )
            cost = partial(_cost, run, target) if is_budget else None
            cut = cut_channels(run, out, wanted, cost=cost, device=chosen, quiet=quiet)
            lines = _told_cut(cut, wanted.target)
        else:
            from tombola.train.prune.weights.rounds import find_tickets
            from tombola.train.prune.weights.settings import PruneSettings

            settings = PruneSettings(
                sparsity=sparsity,
                rounds=rounds,
                schedule=schedule.value,
                rewind=(rewind or Rewind.thetak).value,
                step=step,
                scope=scope.value,
                leave_out=tuple(leave_out or ()),
                half_rate=tuple(half_rate or ()),
                biases=biases,
            )
            found = find_tickets(
                run,
                out,
                settings,
                device=chosen,
                told=told,
                quiet=quiet,
            )
            lines = _told(found, terminal_columns())
    except Interrupted as stop:
        typer.echo(f"{stop}; the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    typer.echo("\n".join(lines))


def _check_together(context: typer.Context, *, way: str) -> None:
    """BadParameter for an option that the way to prune (masks, structured, study) has no use for."""
    foreign = {
        "masks": (*CHANNELS_ALONE, "changes", *STUDY_ALONE),
        "structured": (*MASKS_ALONE, *STUDY_ALONE),
        "study": (*MASKS_ALONE, *CHANNELS_ALONE, *RUN_ALONE),
    }
    for name in foreign[way]:
        if _is_given(context, name):
            other = "--study" if way == "study" or name in STUDY_ALONE else "--structured"
            has = "with" if way == other.removeprefix("--") else "without"
            raise typer.BadParameter(f"{option_name(name)} has no meaning {has} {other}; leave it out")


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _cost(run: Path, target: Target | None) -> "Cost":
    """What the run's network costs, in the target's unit; the latency for a drop alone."""
    from tombola.export.cost import cost_of_run

    cost = cost_of_run(run, target.quantity if target else "latency")
    return cost.in_percent() if target and target.in_percent else cost


def _told_cut(cut: "Cut", target: float | None) -> list[str]:
    """What was cut, what it saved, and what it cost."""
    score = cut.score
    fewer = [pair for pair in cut.channels.values() if pair[0] != pair[1]]
    before, after = cut.parameters
    saved = []
    if vanished := [name for name, (there, left) in cut.channels.items() if there and not left]:
        saved = [f"gone as a whole are the blocks around {', '.join(vanished)}"]
    if cut.cost is not None:
        full, left, unit = cut.cost
        reached = (
            ""
            if target is None or left <= target
            else (f"; the target of {target:.4g} is {left - target:.4g} away, and no more may go")
        )
        saved.append(f"{full:.4g} to {left:.4g} {unit} by its layers{reached}")
    return [
        f"{len(fewer)} of {len(cut.channels)} axes cut, {sum(one for one, _ in fewer)} to "
        f"{sum(two for _, two in fewer)} channels; {before:,} to {after:,} parameters",
        *saved,
        f"{score.name} {score.tell(cut.dense_score)} dense, {score.tell(cut.score_before)} as cut, "
        f"{score.tell(cut.score_after)} trained again",
        f"Next: tombola export {quote(str(cut.folder))}",
    ]


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
