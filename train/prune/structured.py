"""A run -> a narrower one: channels are cut out along the axes, then it trains again. What plain onnxruntime
runs faster, unlike a mask."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tombola.train.metrics.score import Score
from tombola.train.networks.axis import widths
from tombola.train.prune.channel_scores import ScoreName, choose_channels, score_channels
from tombola.train.prune.least_squares import PICTURES, least_squares_scores, measure, refit
from tombola.train.prune.reestimate import plain_batches, reestimate, score_of
from tombola.train.prune.retrain import dense_score, reached, retrain
from tombola.train.prune.shrink import Kept, kept_widths, sliced
from tombola.train.prune.weights.mask import MASK, Mask
from tombola.train.prune.weights.rewind import Start, find_start
from tombola.train.prune.weights.settings import Rewind, keep_settings
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import open_task
from tombola.train.tasks.task import Task

# Pictures whose gradient the score "taylor" sums.
TAYLOR_PICTURES = 512


@dataclass(frozen=True)
class CutSettings:
    """How channels are cut: by which score, the share of each axis that stays in whole blocks, the axes that
    keep all, and from where the narrow network trains (see PruneSettings)."""

    score: ScoreName = "l1"
    keep: float = 0.5
    block: int = 8
    leave_out: tuple[str, ...] = ()
    rewind: Rewind = "lrr"
    step: int | None = None


@dataclass(frozen=True)
class Cut:
    """A narrow run. Scores on the validation pictures; `score_before` as cut, with statistics estimated anew.
    channels: axis -> (before, after). parameters: (before, after)."""

    folder: Path
    score: Score
    dense_score: float
    score_before: float
    score_after: float
    channels: dict[str, tuple[int, int]]
    parameters: tuple[int, int]


def cut_channels(
    run: Path,
    folder: Path | None = None,
    settings: CutSettings | None = None,
    *,
    device: str = "cpu",
    quiet: bool = False,
) -> Cut:
    """Cut channels of a finished run and train what is left in `folder`, RUN-SCORE by default; it goes on
    where it stopped, to the same bits. The folder is a run's. Raises as `find_tickets`."""
    settings = settings or CutSettings()
    dense, here = RunFolder(run), RunFolder(folder or run.with_name(f"{run.name}-{settings.score}"))
    dense.check()
    task = open_task(dense.recipe_path)
    wanted, _ = dense_score(dense, task)
    trained = dense.read_weights("last")
    wide = task.build_network(start=False)
    wide.load_state_dict(trained)
    mask = Mask.read(dense.path / MASK) if (dense.path / MASK).exists() else None
    kept, fitted = _choose(wide, task, mask, settings)
    keep_settings(here.path, settings, run)

    narrow_task = open_task(dense.recipe_path, widths=kept_widths(wide, kept))
    narrow = narrow_task.build_network(start=False)
    narrow.load_state_dict(sliced(wide, kept, fitted.state_dict()))
    reestimate(narrow, narrow_task)
    before = score_of(narrow, narrow_task)
    assert before is not None  # the dense run has one

    start = _start(settings, narrow_task, dense, wide, kept, narrow.state_dict())
    # A ticket's channels are refilled: what its mask took from them grows again (Chen et al. 2022).
    left = None if mask is None or settings.score == "ticket" else Mask(sliced(wide, kept, mask))
    retrain(narrow_task, here, start, settings.rewind, mask=left, device=device, quiet=quiet)
    if left is not None:
        left.write(here.path / MASK)
    cut = Cut(
        folder=here.path,
        score=task.score,
        dense_score=wanted,
        score_before=before,
        score_after=reached(here, narrow_task, wanted)[0],
        channels={name: (width, widths(narrow)[name]) for name, width in widths(wide).items()},
        parameters=(_parameters(wide), _parameters(narrow)),
    )
    found = {**_lineage(cut, run, settings, start), "of": dense.read_lineage().get("ticket")}
    here.write_lineage({**here.read_lineage(), "ticket": found})
    return cut


def _choose(wide: nn.Module, task: Task, mask: Mask | None, settings: CutSettings) -> tuple[Kept, nn.Module]:
    """The channels that stay, and the wide network with the weights that they are to have."""
    if settings.score == "least_squares":
        grams = measure(wide, task, plain_batches(task, PICTURES))
        kept = choose_channels(
            least_squares_scores(wide, grams),
            settings.keep,
            block=settings.block,
            leave_out=settings.leave_out,
        )
        return kept, refit(wide, kept, grams)
    scores = score_channels(
        settings.score, wide, mask=mask, gradients=lambda: _gradients(wide, task), seed=task.seed
    )
    return choose_channels(scores, settings.keep, block=settings.block, leave_out=settings.leave_out), wide


def _gradients(network: nn.Module, task: Task) -> dict[str, Tensor]:
    """The summed gradient of the loss over training pictures, by parameter, in eval mode."""
    network.eval().zero_grad()
    for batch in plain_batches(task, TAYLOR_PICTURES):
        loss = torch.stack(list(task.losses(network, batch, Moment(0, 0, 1)).values())).sum()
        loss.backward()
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


def _start(
    settings: CutSettings,
    task: Task,
    dense: RunFolder,
    wide: nn.Module,
    kept: Kept,
    narrow: Mapping[str, Tensor],
) -> Start:
    start = find_start(settings.rewind, settings.step, task, dense, narrow, seed=task.seed + 1)
    if settings.rewind in ("theta0", "thetak"):  # the dense run's
        return Start(sliced(wide, kept, start.weights), start.step, start.name)
    return start


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _lineage(cut: Cut, run: Path, settings: CutSettings, start: Start) -> dict[str, Any]:
    return {
        "parent": run.name,
        "score": settings.score,
        "keep": settings.keep,
        "rewound_to": start.name,
        "channels": {name: list(pair) for name, pair in cut.channels.items()},
        "parameters": list(cut.parameters),
        f"{cut.score.name}_as_cut": round(cut.score_before, 6),
        f"{cut.score.name}_dense": round(cut.dense_score, 6),
    }
