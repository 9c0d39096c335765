"""A run -> a narrower one: channels are cut out along the axes, then it trains again. What plain onnxruntime
runs faster, unlike a mask."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tombola.errors import TrainingError
from tombola.train.metrics.score import Score
from tombola.train.networks.axis import widths
from tombola.train.prune.budget import best_channels, cut_to, ever_narrower, loss_curves
from tombola.train.prune.channel_scores import ChannelScores, ScoreName, choose_channels, score_channels
from tombola.train.prune.cost import Cost
from tombola.train.prune.least_squares import PICTURES, least_squares_scores, measure, refit
from tombola.train.prune.reestimate import answering_turn, plain_batches, reestimate, score_of
from tombola.train.prune.retrain import check_finished, check_learns, reached, retrain
from tombola.train.prune.shrink import Kept, free_axes, kept_widths, sliced, vanishing
from tombola.train.prune.weights.mask import MASK, Mask
from tombola.train.prune.weights.prunable import answering
from tombola.train.prune.weights.rewind import Start, find_start
from tombola.train.prune.weights.settings import Rewind, keep_settings
from tombola.train.recipe.recipe import TaughtRecipe
from tombola.train.recipe.text_file import read_text
from tombola.train.run.folder import RunFolder, write_atomic
from tombola.train.tasks.table import TASKS, load_recipe, open_task
from tombola.train.tasks.task import Task

# Pictures whose gradient the score "taylor" sums.
TAYLOR_PICTURES = 512

FACTS = "cut.json"


@dataclass(frozen=True)
class CutSettings:
    """How channels are cut: by which score, the share of each axis that stays in whole blocks, the axes that
    keep all, and from where the narrow network trains (see PruneSettings).

    target: what the network may cost, in the unit of the cost that `cut_channels` is given; then blocks go
    from wherever they are missed least for what they save, and `keep` has no meaning. max_drop: how much the
    score may fall as cut, before anything trains again, in its told unit (points of a share).
    distill: it learns from the network that it was cut from, too. changes: of the recipe that it trains by,
    of the form "training.epochs=3"; the layers that `start.freeze` names learn again unless they say so.
    """

    score: ScoreName = "l1"
    keep: float = 0.5
    block: int = 8
    leave_out: tuple[str, ...] = ()
    target: float | None = None
    max_drop: float | None = None
    rewind: Rewind = "lrr"
    step: int | None = None
    distill: bool = True
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What was cut, before anything trains again; written beside the weights, so that it is cut once.

    Scores on the validation pictures: of the network before, and as cut, with its statistics estimated anew.
    channels: axis -> (before, after). parameters, cost: (before, after), the cost with its unit, where it was
    cut to one. step, rewound_to: where it trains from.
    """

    dense_score: float
    score_before: float
    channels: dict[str, tuple[int, int]]
    parameters: tuple[int, int]
    step: int
    rewound_to: str
    cost: tuple[float, float, str] | None

    @property
    def widths(self) -> dict[str, int]:
        """Of the narrow network."""
        return {name: after for name, (_, after) in self.channels.items()}

    def write(self, folder: Path) -> None:
        """As cut.json."""
        write_atomic(folder / FACTS, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> "Facts | None":
        """What was written; None if nothing was. TrainingError if it is damaged."""
        path = folder / FACTS
        if not path.exists():
            return None
        try:
            table = json.loads(read_text(path, 1_000_000))
            channels = {name: tuple(pair) for name, pair in table.pop("channels").items()}
            cost, (before, after) = table.pop("cost"), table.pop("parameters")
            return cls(channels=channels, parameters=(before, after), cost=cost and tuple(cost), **table)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise TrainingError(f"{path} is damaged ({error}); choose another --out") from None


@dataclass(frozen=True)
class Cut(Facts):
    """A narrow run, trained again: its folder, and its score then."""

    folder: Path
    score: Score
    score_after: float


def cut_channels(
    run: Path,
    folder: Path | None = None,
    settings: CutSettings | None = None,
    *,
    cost: Callable[[], Cost] | None = None,
    device: str = "cpu",
    quiet: bool = False,
) -> Cut:
    """Cut channels of a finished run and train what is left in `folder`, RUN-SCORE by default; it goes on
    where it stopped, to the same bits. The folder is a run's.

    cost: makes what `target` is of and blocks are weighed by; asked once. Raises as `find_tickets`.
    """
    settings = settings or CutSettings()
    dense, here = RunFolder(run), RunFolder(folder or run.with_name(f"{run.name}-{settings.score}"))
    dense.check()
    recipe = load_recipe(dense.recipe_path)
    check_finished(dense, recipe.training, TASKS[recipe.task].score)
    changes = (*_changes(recipe, run, settings), *settings.changes)
    facts = Facts.read(here.path)
    if facts is None:
        facts = _cut(dense, here, settings, changes, cost)
    else:
        keep_settings(here.path, settings, run)

    task = open_task(dense.recipe_path, changes, facts.widths)
    mask = Mask.read(here.path / MASK) if (here.path / MASK).exists() else None
    start = Start(here.read_weights("initial"), facts.step, facts.rewound_to)
    retrain(task, here, start, settings.rewind, mask=mask, device=device, quiet=quiet)
    after = reached(here, task, facts.dense_score)[0]
    cut = Cut(**asdict(facts), folder=here.path, score=task.score, score_after=after)
    found = {**_lineage(cut, run, settings), "of": dense.read_lineage().get("ticket")}
    here.write_lineage({**here.read_lineage(), "ticket": found})
    return cut


def _changes(recipe: Any, run: Path, settings: CutSettings) -> list[str]:
    """What the narrow network's recipe says otherwise than that of the network that it is cut from."""
    thaw = ["start.freeze="] if recipe.start.freeze else []
    teacher = run.resolve() if settings.distill else ""
    return [*thaw, f"distill.teacher={teacher}"] if isinstance(recipe, TaughtRecipe) else thaw


def _cut(
    dense: RunFolder,
    here: RunFolder,
    settings: CutSettings,
    changes: Sequence[str],
    cost_of: Callable[[], Cost] | None,
) -> Facts:
    """Cut, judge, and write down what the narrow network begins with."""
    task = open_task(dense.recipe_path, changes)
    check_learns(dense, task)
    wide = task.build_network(start=False)
    if not free_axes(wide):
        raise TrainingError(f"the network of {dense.path} has no channels that could go; prune its weights")
    dense.load(wide, "last")
    dense_score = score_of(wide.eval(), task)
    if dense_score is None:
        raise TrainingError(f"{dense.path} has no validation score to hold tickets to; add data.valid")
    mask = Mask.read(dense.path / MASK) if (dense.path / MASK).exists() else None
    scores, fit = _score(wide, task, mask, settings)

    def narrowed(kept: Kept) -> tuple[Task, nn.Module, float]:
        """What is left, with its statistics estimated anew, and its score."""
        narrow_task = copy.copy(task)
        narrow_task.widths = kept_widths(wide, kept)
        narrow = narrow_task.build_network(start=False)
        narrow.load_state_dict(sliced(wide, kept, fit(kept).state_dict()))
        reestimate(narrow, narrow_task)
        score = score_of(narrow, narrow_task)
        assert score is not None  # the dense network has one
        return narrow_task, narrow, score

    def drop(left: Mapping[str, int]) -> float:
        fall = dense_score - narrowed(best_channels(scores, left))[2]
        return task.score.number(fall if task.score.higher_is_better else -fall)

    cost = cost_of() if cost_of is not None else None
    if cost is None:
        kept = choose_channels(scores, settings.keep, block=settings.block, leave_out=settings.leave_out)
    else:
        curves = loss_curves(settings.score, scores)
        path = ever_narrower(
            curves,
            cost,
            block=settings.block,
            leave_out=settings.leave_out,
            vanishing={axis.name for _, _, inside in vanishing(wide) for axis in inside},
        )
        kept = best_channels(scores, cut_to(path, cost, settings.target, drop, settings.max_drop))
    keep_settings(here.path, settings, dense.path)
    narrow_task, narrow, score_before = narrowed(kept)
    start = _start(settings, narrow_task, dense, wide, kept, narrow.state_dict())
    # A ticket's channels are refilled: what its mask took from them grows again (Chen et al. 2022).
    if mask is not None and settings.score != "ticket":
        Mask(sliced(wide, kept, mask)).write(here.path / MASK)
    facts = Facts(
        dense_score=dense_score,
        score_before=score_before,
        channels={name: (width, widths(narrow)[name]) for name, width in widths(wide).items()},
        parameters=(_parameters(wide), _parameters(narrow)),
        step=start.step,
        rewound_to=start.name,
        cost=None if cost is None else (cost.total({}), cost.total(narrow_task.widths), cost.unit),
    )
    here.write_weights("initial", start.weights, {"rewound_to": start.name})
    facts.write(here.path)
    return facts


def _score(
    wide: nn.Module, task: Task, mask: Mask | None, settings: CutSettings
) -> tuple[ChannelScores, Callable[[Kept], nn.Module]]:
    """What each channel is worth, and how the wide network gets the weights that those kept are to have."""
    if settings.score == "least_squares":
        grams = measure(wide, task, plain_batches(task, PICTURES))
        return least_squares_scores(wide, grams), lambda kept: refit(wide, kept, grams)
    scores = score_channels(
        settings.score, wide, mask=mask, gradients=lambda: _gradients(wide, task), seed=task.seed
    )
    return scores, lambda _: wide


def _gradients(network: nn.Module, task: Task) -> dict[str, Tensor]:
    """The summed gradient of the loss over training pictures, by parameter, in eval mode."""
    network.eval().zero_grad()
    for batch in plain_batches(task, TAYLOR_PICTURES):
        loss = torch.stack(list(task.losses(network, batch, answering_turn(task)).values())).sum()
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
    return sum(parameter.numel() for parameter in answering(network).values())


def _lineage(cut: Cut, run: Path, settings: CutSettings) -> dict[str, Any]:
    return {
        "parent": run.name,
        "score": settings.score,
        **({"keep": settings.keep} if cut.cost is None else {"cost": list(cut.cost)}),
        "rewound_to": cut.rewound_to,
        "distilled": settings.distill,
        "channels": {name: list(pair) for name, pair in cut.channels.items()},
        "parameters": list(cut.parameters),
        f"{cut.score.name}_as_cut": round(cut.score_before, 6),
        f"{cut.score.name}_dense": round(cut.dense_score, 6),
    }
