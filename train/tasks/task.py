"""What the training loop and the doctor ask of a task; they know no task by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn
from torch.utils.data import Dataset

from tombola.train.drawing.contact_sheet import Tile
from tombola.train.metrics.score import Score
from tombola.train.recipe.recipe import TrainingSettings
from tombola.train.tasks.moment import Moment


@dataclass(frozen=True)
class Exhibit:
    """One picture of the report: a title, a plain sentence on how to read it, and the PNG itself."""

    title: str
    sentence: str
    png: bytes


@dataclass(frozen=True)
class ExhibitTable:
    """One table of the report: a title, a plain sentence on how to read it, names of columns, and rows of as
    many cells."""

    title: str
    sentence: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


# Called with how many pictures are done, of how many.
Tell = Callable[[int, int], None]


def silent(_done: int, _total: int) -> None:
    """A Tell that keeps it to itself."""


class Task(Protocol):
    """A network, batches, a loss and a score.

    name is the recipe's. widths, by the name of an axis, stand in for the recipe's; none if it says all.
    score is the one of `evaluate` that decides which weights are best.
    """

    name: str
    settings: TrainingSettings
    seed: int
    widths: Mapping[str, int]
    score: Score

    def check_shares(self) -> None:
        """RecipeError if the result would depend on how many processes share a batch."""

    def recipe_toml(self) -> str:
        """The resolved recipe."""

    def lineage(self) -> dict[str, Any]:
        """What the first weights descend from, JSON-ready."""

    def build_network(self, *, start: bool = True) -> nn.Module:
        """The network with its first weights, the same at every call; without `start` with fresh ones, which
        is enough for weights of its own to be read into it."""

    def prepare(self, network: nn.Module, moment: Moment) -> None:
        """Put the network into training mode, frozen parts excepted."""

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Groups for the optimiser: params, rate (factor on the learning rate) and weight_decay."""

    def plan_epoch(self, epoch: int) -> list[list[Any]]:
        """The epoch's global batches as lists of requests; a function of the seed and the epoch alone."""

    def examples(self, *, augmented: bool = True) -> Dataset[Any]:
        """Maps a request to an example, randomly changed or as it is; runs in worker processes."""

    def collate(self, examples: Sequence[Any]) -> Any:
        """Examples -> a batch."""

    def losses(self, network: nn.Module, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
        """Parts of the loss, each the mean over the batch's pictures; their sum is minimised.

        What is drawn at random for a picture belongs to its request: draw it from the request's seed, so that
        it is the same whichever process the picture goes to.
        """

    def expected_losses(self) -> Mapping[str, float]:
        """Parts of the loss -> what a network that knows nothing yet should have; unknown parts left out."""

    def evaluate(self, network: nn.Module, tell: Tell = silent) -> dict[str, float]:
        """Scores on the validation pictures; empty if there are none. What `tell` raises ends it."""


@runtime_checkable
class TaughtTask(Task, Protocol):
    """A task whose network may learn from another one, too."""

    def load_teacher(self) -> nn.Module | None:
        """The network to learn from, in eval mode and without gradients; None if the recipe names none."""

    def lesson(self, teacher: nn.Module, batch: Any) -> Any:
        """What the teacher says of a batch."""

    def taught_losses(
        self, network: nn.Module, batch: Any, moment: Moment, lesson: Any
    ) -> Mapping[str, Tensor]:
        """As `losses`, and how far the network is from what its teacher said."""


@runtime_checkable
class TurnsTask(Protocol):
    """A task whose parts learn in turns, `turns` of them in a step, as the two players of a GAN do.

    At each turn `prepare` lets those learn whose turn it is, and `losses` are theirs.
    """

    turns: int


@runtime_checkable
class MomentsTask(Task, Protocol):
    """A task whose network, where `by_moments` says so, is fitted in closed form to the mean and the
    covariance of all training pictures."""

    @property
    def by_moments(self) -> bool: ...

    def vectors(self, batch: Any) -> Tensor:
        """The batch's pictures as rows, float [B, d]."""

    def fit(self, network: nn.Module, mean: Tensor, covariance: Tensor) -> None:
        """Give the network its weights; moments float64 [d] and [d, d]."""


class ExaminedTask(Task, Protocol):
    """A task that also answers the doctor, who looks for what is wrong with it."""

    def check_test(self) -> None:
        """DataError if the test pictures are missing, which only a later evaluation reads."""

    def exhibits(self, network: nn.Module, tell: Tell = silent) -> Sequence[Exhibit | ExhibitTable]:
        """How good the trained network (in eval mode) is on the validation pictures, and how it errs."""


@runtime_checkable
class SampledTask(Protocol):
    """A task whose network makes pictures."""

    def sample_row(self, network: nn.Module) -> bytes:
        """PNG bytes: a row of pictures of the network in eval mode, of the same random numbers each time."""


@runtime_checkable
class GuessableTask(Protocol):
    """A task whose score can be had by answering the same to every picture."""

    def guessed_score(self) -> float | None:
        """The best score on the validation pictures of one answer to all; None without such pictures."""


@runtime_checkable
class LabelledTask(ExaminedTask, Protocol):
    """An examined task whose pictures have labels, so that the doctor can ask whether they fit."""

    def answer_widths(self, network: nn.Module) -> tuple[int, int]:
        """How many classes the network's last layer tells apart, and how many the training labels use."""

    def unused_classes(self) -> Sequence[str]:
        """Names of the classes that no training label uses."""

    def same_labels(self, batch: Any) -> bool:
        """Whether all pictures of the batch have the same labels, so that nothing tells them apart."""

    def mismatched(self, batch: Any) -> Any:
        """The batch with each picture given the labels of another."""

    def right_share(self, network: nn.Module, batch: Any) -> float:
        """Share of the batch's labels, 0..1, that the network (in eval mode) answers rightly."""


@runtime_checkable
class ShownTask(ExaminedTask, Protocol):
    """An examined task whose training pictures can be shown on a contact sheet."""

    def shown(self, most: int) -> tuple[Sequence[Tile], Sequence[Tile]]:
        """Up to `most` training pictures with their labels: as they are, and as the network gets them in the
        first epoch, in the same order. Raises DataError and PictureError for a picture that cannot be read.
        """


def several(examples: Dataset[Any], requests: Sequence[Any]) -> list[Any]:
    """The examples of these requests, read together where the data set can, which takes less time."""
    together = getattr(examples, "__getitems__", None)  # torch's name for it
    return list(together(requests)) if together else [examples[request] for request in requests]


def evenly(items: Sequence[Any], most: int) -> list[Any]:
    """Up to `most` of the items, evenly spread."""
    count = min(most, len(items))
    return [items[place * len(items) // count] for place in range(count)]
