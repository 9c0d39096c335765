"""One point of a search: a value for each axis."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from tombola.errors import RecipeError
from tombola.train.search.axis import Axis


@dataclass(frozen=True)
class Point:
    """Values in the order of the axes, as TOML text."""

    axes: tuple[Axis, ...]
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """What its run folder is called: learning_rate=0.001_l2=1e-05."""
        return "_".join(f"{axis.name}={value}" for axis, value in zip(self.axes, self.values, strict=True))

    @property
    def overrides(self) -> list[str]:
        """The changes to the recipe, as `--set` takes them."""
        return [f"{axis.key}={value}" for axis, value in zip(self.axes, self.values, strict=True)]


def grid(axes: Sequence[Axis]) -> list[Point]:
    """Every combination of the axes' values, the last axis first to change. RecipeError for a key that comes
    twice."""
    keys = [axis.key for axis in axes]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise RecipeError(f"{', '.join(twice)} is searched twice; give each key once")
    if not axes:
        raise RecipeError("there is nothing to search; give --rate 1e-4:1e-1:7 or --set-grid KEY=LOW:HIGH:N")
    return [Point(tuple(axes), values) for values in itertools.product(*(axis.values for axis in axes))]
