"""Training the cells of an arm, one after the other; what is done already is not done again."""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from tombola.errors import RecipeError
from tombola.train.networks.classify.mlp import MlpSettings
from tombola.train.prune.weights.controls import line_between, magnitude_mask, random_mask
from tombola.train.prune.weights.mask import Mask
from tombola.train.prune.weights.next_mask import next_mask
from tombola.train.prune.weights.prunable import prunable
from tombola.train.prune.weights.rewind import Start, find_start
from tombola.train.prune.weights.settings import Rewind
from tombola.train.studies.tickets.cell import Cell
from tombola.train.studies.tickets.in_memory import InMemory, in_memory
from tombola.train.studies.tickets.one_by_one import right_on_test, train_one_by_one
from tombola.train.studies.tickets.side_by_side import judge, train_side_by_side
from tombola.train.studies.tickets.study import TWINS, Arm, Study
from tombola.train.studies.tickets.trial import Trained
from tombola.train.tasks.classify.task import ClassifyTask
from tombola.train.tasks.table import load_recipe

# Added to a seed for what must be another's.
OTHER = 1000
LINE_POINTS = 11


def open_study_task(study: Study, network: str) -> ClassifyTask:
    """The task of one network of the study. Raises DataError and RecipeError."""
    recipe = load_recipe(study.recipe_path, study.networks[network])
    if study.late_step not in (None, *recipe.training.early_steps):
        raise RecipeError(
            f"late tickets go back to step {study.late_step}, and training.early_steps = "
            f"{list(recipe.training.early_steps)} does not keep its weights; add it"
        )
    return ClassifyTask(recipe)


def train_arm(study: Study, folder: Path, arm: Arm) -> None:
    """Train what is not done of the arm in the folder of the study, with one thread."""
    torch.set_num_threads(1)
    todo = [cell for number in arm.numbers if not (cell := Cell(folder, arm, number)).is_done]
    if todo:
        work = _Work(study, folder, arm, open_study_task(study, arm.network))
        for cell in todo:
            work.train(cell)


@dataclass(frozen=True)
class _Work:
    """An arm at work."""

    study: Study
    folder: Path
    arm: Arm
    task: ClassifyTask

    @cached_property
    def pictures(self) -> InMemory:
        return in_memory(self.task)

    def train(self, cell: Cell) -> None:
        """Train all seeds of one cell, and keep what came of it."""
        number, seeds = cell.number, range(self.arm.seeds)
        begun = [self._begin(number, seed) for seed in seeds]
        starts, masks = [start for start, _ in begun], [mask for _, mask in begun]
        orders = [seed + (OTHER if self.arm.kind in TWINS else 0) for seed in seeds]
        if self._is_perceptron:
            dense = self.arm.kind == "tickets" and number == 0
            trained = train_side_by_side(
                self.pictures,
                self.task.settings,
                starts,
                masks,
                orders,
                keep_steps=(0, *self.task.settings.early_steps) if dense else (),
            )
        else:
            runs = [cell.run(seed) for seed in seeds]
            trained = train_one_by_one([self._of_seed(order) for order in orders], runs, starts, masks)
        total = sum(tensor.numel() for tensor in prunable(self._network(0)).values())
        errors = self._line_errors(number, trained) if self.arm.kind in TWINS else [[] for _ in seeds]
        cell.keep(trained, masks, total, errors)

    def _begin(self, number: int, seed: int) -> tuple[Start, Mask | None]:
        """From which weights a training of this arm begins, and under which mask."""
        arm, task = self.arm, self._of_seed(seed)
        if (arm.kind, number) == ("tickets", 0):
            return Start(task.build_network().state_dict(), 0, "step 0"), None
        dense = self._tickets(0).run(seed)

        def rewound(rewind: Rewind, step: int | None = None) -> Start:
            return find_start(rewind, step, task, dense, {}, seed=seed + OTHER)

        def late() -> Start:
            return rewound("thetak", self.study.late_step)

        match arm.kind:
            case "tickets" | "late":
                before = Cell(self.folder, arm, number - 1) if number > 1 else self._tickets(0)
                kept = before.mask(seed) if number > 1 else None
                share = self.study.pruning.shares()[number - 1]
                trained = before.run(seed).read_weights("last")
                mask = next_mask(self._network(seed), trained, kept, share, self.study.pruning)
                return rewound("theta0") if arm.kind == "tickets" else late(), mask
            case "dense_twins":
                return rewound("thetak", number) if number else rewound("theta0"), None
            case "late_twins":
                return late(), self._late(number).mask(seed)
            case "reinit":
                return rewound("scratch"), self._tickets(number).mask(seed)
            case "foreign":
                return rewound("theta0"), self._tickets(number).mask((seed + 1) % arm.seeds)
            case "random":
                return rewound("theta0"), random_mask(self._tickets(number).mask(seed), seed + OTHER)
            case "untrained":
                start = rewound("theta0")
                return start, magnitude_mask(start.weights, self._tickets(number).mask(seed))
            case "ticket_twins":
                return rewound("theta0"), self._tickets(number).mask(seed)

    def _line_errors(self, number: int, trained: list[Trained]) -> list[list[float]]:
        """Of each seed the share of wrong answers (test) on the line between the twins."""
        match self.arm.kind:
            case "dense_twins":
                first = self._tickets(0)
            case "late_twins":
                first = self._late(number)
            case _:
                first = self._tickets(number)
        firsts = [first.run(seed).read_weights("last") for seed in range(self.arm.seeds)]
        errors = []
        for share in torch.linspace(0, 1, LINE_POINTS).tolist():
            between = [line_between(a, b.last, share) for a, b in zip(firsts, trained, strict=True)]
            if self._is_perceptron:
                weights = {name: torch.stack([one[name] for one in between]) for name in between[0]}
                right = judge(weights, self.pictures.test)[0]
            else:
                right = torch.tensor([right_on_test(self.task, one, anew=0 < share < 1) for one in between])
            errors.append(1 - right)
        return torch.stack(errors, 1).tolist()

    @property
    def _is_perceptron(self) -> bool:
        """Whether many train side by side."""
        return isinstance(self.task.recipe.network, MlpSettings)

    def _late(self, number: int) -> Cell:
        return Cell(self.folder, self.study.late_of(self.arm), number)

    def _tickets(self, number: int) -> Cell:
        return Cell(self.folder, self.study.tickets_of(self.arm), number)

    def _of_seed(self, seed: int) -> ClassifyTask:
        other = copy.copy(self.task)
        other.seed = seed
        return other

    def _network(self, seed: int) -> nn.Module:
        return self._of_seed(seed).build_network(start=False)
