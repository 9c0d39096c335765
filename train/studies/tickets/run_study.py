"""A whole study: its arms in processes of their own, and the report of what they found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tombola.train.prune.weights.settings import keep_settings
from tombola.train.run.lock import lock_folder
from tombola.train.run.ray_cluster import import_ray
from tombola.train.studies.parts import Told, train_parts
from tombola.train.studies.tickets.cell import Cell
from tombola.train.studies.tickets.report import write_report
from tombola.train.studies.tickets.study import Arm, Study
from tombola.train.studies.tickets.train_arm import open_study_task, train_arm


@dataclass(frozen=True)
class _ArmPart:
    """An arm as a part of the study in `folder`."""

    study: Study
    folder: Path
    arm: Arm

    @property
    def name(self) -> str:
        return self.arm.name

    @property
    def pieces(self) -> Sequence[Cell]:
        return [Cell(self.folder, self.arm, number) for number in self.arm.numbers]

    def is_ready(self) -> bool:
        """Whether all that it begins from is there."""
        before = self.study.before(self.arm)
        return all(Cell(self.folder, arm, number).is_done for arm in before for number in arm.numbers)

    def train(self) -> None:
        train_arm(self.study, self.folder, self.arm)


def run_study(
    study: Study, folder: Path, *, jobs: int | None = None, ray: bool = False, told: Told = lambda _: None
) -> list[str]:
    """Train what is not done of the study, write its report, and return the report's findings, a line each.

    jobs, ray: as `train_parts` takes them. Given again after a stop
    of any kind it goes on with the cell that was at work. Raises DataError, RecipeError and TrainingError,
    Interrupted after SIGINT.
    """
    if ray:
        import_ray("ray")  # before anything is written
    for network in study.networks:
        root = open_study_task(study, network).recipe.data.root
    keep_settings(folder, study, root)
    with lock_folder(folder):
        train_parts([_ArmPart(study, folder, arm) for arm in study.arms], jobs=jobs, ray=ray, told=told)
        return write_report(study, folder)
