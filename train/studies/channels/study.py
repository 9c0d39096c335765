"""What a study of channels trains: a dense network, narrow ones cut out of it, and what they are held to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tombola.train import recipes

# dense          the network of the recipe
# l1, …, random  the channels of that score stay, the same share of each axis, and train again
# scratch        as wide as those, from new weights, for as long as the dense network and the cut one together
# longer         the dense network with the schedule replayed, as the cut ones have it
# by_macs        least_squares, as much arithmetic as at equal shares, from where it is missed least
# mask, ticket   the dense network under a mask of its smallest weights; channels by what that left alive
Kind = Literal["dense", "least_squares", "l1", "random", "scratch", "longer", "by_macs", "mask", "ticket"]

# Those that keep a share of the channels.
NARROW: tuple[Kind, ...] = ("least_squares", "l1", "random", "scratch", "by_macs", "ticket")
# Of these the best on the validation pictures is what the study offers; the others are controls.
OFFERED: tuple[Kind, ...] = ("least_squares", "l1", "by_macs", "ticket")


@dataclass(frozen=True)
class ChannelStudy:
    """recipe    name of a classifier's recipe that comes along; changes: to it
    most_lost  share of the channels that stay -> points of accuracy that it may cost
    sparsity   of the mask that "ticket" goes by
    groups     kinds of contenders; of a group all seeds are trained before the next begins
    seeds      0 … seeds - 1
    """

    recipe: str
    most_lost: tuple[tuple[float, float], ...]
    sparsity: float
    groups: tuple[tuple[Kind, ...], ...]
    seeds: int
    changes: tuple[str, ...] = ()

    @property
    def recipe_path(self) -> Path:
        return Path(recipes.__path__[0]) / f"{self.recipe}.toml"

    @property
    def keeps(self) -> tuple[float, ...]:
        """Shares of the channels that stay."""
        return tuple(keep for keep, _ in self.most_lost)

    def with_changes(self, changes: Sequence[str]) -> "ChannelStudy":
        """The same with changes to the recipe ("training.epochs=2"), for every contender."""
        return replace(self, changes=(*self.changes, *changes))

    def with_seeds(self, seeds: int) -> "ChannelStudy":
        """The same with at most so many seeds."""
        return replace(self, seeds=min(self.seeds, seeds))


CHANNELS = ChannelStudy(
    recipe="fashion-mnist",
    most_lost=((0.5, 0.3), (0.25, 1.5)),
    sparsity=0.8,
    groups=(("dense", "least_squares", "l1", "random", "scratch"), ("longer", "by_macs", "mask", "ticket")),
    seeds=3,
)
