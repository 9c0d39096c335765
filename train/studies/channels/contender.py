"""One contender of one seed: how it is trained, and what came of it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from tombola.errors import TrainingError
from tombola.train.loop.fabric import open_fabric
from tombola.train.loop.loop import train
from tombola.train.networks.axis import widths
from tombola.train.prune.channel_scores import ScoreName
from tombola.train.prune.cost import Cost, layers_of, macs_cost
from tombola.train.prune.retrain import retrain
from tombola.train.prune.structured import CutSettings, cut_channels
from tombola.train.prune.weights.rewind import Start
from tombola.train.prune.weights.rounds import find_tickets
from tombola.train.prune.weights.settings import PruneSettings
from tombola.train.run.folder import RunFolder, write_atomic
from tombola.train.studies.accuracy import share_right
from tombola.train.studies.channels.study import NARROW, ChannelStudy, Kind
from tombola.train.tasks.classify.recipe import ClassifyRecipe
from tombola.train.tasks.table import load_network, open_task

RESULT = "result.json"
BLOCK = CutSettings.block


@dataclass(frozen=True)
class Result:
    """valid, test: shares of the validation and test pictures that the last weights have right. as_cut: of
    the validation pictures before it trained again. parameters; macs: millions for one picture."""

    valid: float
    test: float
    as_cut: float | None
    parameters: int
    macs: float


@dataclass(frozen=True)
class Contender:
    """A part of the study in `folder`, its own only piece. keep: share of the channels that stay."""

    study: ChannelStudy
    folder: Path
    seed: int
    kind: Kind
    keep: float = 1.0

    @property
    def name(self) -> str:
        share = f"-{100 * self.keep:.0f}" if self.keep < 1 else ""
        return f"seed-{self.seed}/{self.kind}{share}"

    @property
    def path(self) -> Path:
        return self.folder / self.name

    @property
    def run(self) -> RunFolder:
        """The run folder of what is judged."""
        return RunFolder(self.path / "round-1" if self.kind == "mask" else self.path)

    @property
    def pieces(self) -> "Sequence[Contender]":
        return (self,)

    @property
    def is_done(self) -> bool:
        return (self.path / RESULT).exists()

    def is_ready(self) -> bool:
        """Whether what it begins from is trained."""
        return self.kind == "dense" or self._parent.is_done

    def told(self) -> str:
        """What came of it, in a line."""
        return f"{self.name}  {100 * self.result().valid:.2f} % of the validation pictures right"

    def result(self) -> Result:
        """What `train` wrote; TrainingError if it is damaged."""
        path = self.path / RESULT
        try:
            return Result(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(f"{path} is damaged ({error}); remove it to judge it again") from None

    def train(self) -> None:
        """Train it, or go on, with one thread, and judge it by the test pictures once. Raises as `train`."""
        torch.set_num_threads(1)
        as_cut = None
        match self.kind:
            case "dense":
                self._train_dense()
            case "longer":
                self._train_longer()
            case "mask":
                settings = PruneSettings(sparsity=self.study.sparsity, rounds=1, rewind="lrr")
                find_tickets(self._parent.path, self.path, settings, quiet=True)
            case _:
                as_cut = self._cut()
        write_atomic(self.path / RESULT, json.dumps(asdict(self._judge(as_cut))).encode())

    @property
    def _parent(self) -> "Contender":
        """The contender whose run this one begins from."""
        return Contender(self.study, self.folder, self.seed, "mask" if self.kind == "ticket" else "dense")

    def _train_dense(self) -> None:
        task = open_task(self.study.recipe_path, [*self.study.changes, f"seed={self.seed}"])
        fabric = open_fabric(task.settings.precision, device="cpu", processes=1)
        train(task, self.run, resume=self.run.has_checkpoint, fabric=fabric, quiet=True)

    def _train_longer(self) -> None:
        dense = self._parent.run
        task = open_task(dense.recipe_path, [f"distill.teacher={dense.path.resolve()}"])
        start = Start(dense.read_weights("last"), 0, "the dense network's last weights")
        retrain(task, self.run, start, "lrr", device="cpu", quiet=True)

    def _cut(self) -> float | None:
        """Cut channels and train what is left; the score as cut, None of new weights."""
        scores: dict[Kind, ScoreName] = {
            "least_squares": "least_squares", "by_macs": "least_squares", "l1": "l1", "random": "random",
            "ticket": "ticket", "scratch": "l1",
        }  # fmt: skip
        is_new, by_macs = self.kind == "scratch", self.kind == "by_macs"
        dense, recipe = load_network(self._parent.run.path, "last")
        cost = _macs(dense, recipe)
        equal = {
            name: max(BLOCK, round(self.keep * width / BLOCK) * BLOCK)
            for name, width in widths(dense).items()
        }
        settings = CutSettings(
            score=scores[self.kind],
            keep=self.keep,
            target=cost.total(equal) if by_macs else None,
            rewind="scratch" if is_new else "lrr",
            distill=not is_new,
            changes=(f"training.epochs={2 * recipe.training.epochs}",) if is_new else (),
        )
        cut = cut_channels(
            self._parent.run.path, self.path, settings, cost=(lambda: cost) if by_macs else None, quiet=True
        )
        return None if is_new else cut.score_before

    def _judge(self, as_cut: float | None) -> Result:
        network, recipe = load_network(self.run.path, "last")
        return Result(
            valid=share_right(network, recipe, "valid"),
            test=share_right(network, recipe, "test"),
            as_cut=as_cut,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            macs=_macs(network, recipe).total({}),
        )


def contenders(study: ChannelStudy, folder: Path) -> Iterator[Contender]:
    """All of a study, in the order in which they train."""
    for group in study.groups:
        for seed in range(study.seeds):
            for kind in group:
                for keep in study.keeps if kind in NARROW else (1.0,):
                    yield Contender(study, folder, seed, kind, keep)


def _macs(network: nn.Module, recipe: ClassifyRecipe) -> Cost:
    """For one picture as the network takes it."""
    picture = torch.zeros(1, recipe.picture.channels, *recipe.picture.size)
    return macs_cost(layers_of(network, lambda: network(picture)))
