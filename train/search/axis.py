"""One axis of a search: a key of the recipe and the values it takes."""

import math
from dataclasses import dataclass

from tombola.errors import RecipeError

MOST_VALUES = 1000


@dataclass(frozen=True)
class Axis:
    """A dotted key of the recipe and its values as TOML text, in the order in which they were asked for."""

    key: str
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """The key, short enough for a table: training.l2 is l2."""
        return self.key.removeprefix("training.")

    @property
    def is_range(self) -> bool:
        """Whether three values or more rise or fall all the way: the first and the last are then its ends."""
        numbers = [float(value) for value in self.values]
        return len(numbers) > 2 and (numbers == sorted(numbers) or numbers == sorted(numbers, reverse=True))


def parse_axis(key: str, text: str) -> Axis:
    """`LOW:HIGH:N` is N values from LOW to HIGH, each the same multiple of the one before; `A,B,C` is those.

    Values of a range have four significant digits. RecipeError if the text is neither, or says a value twice.
    """
    key = key.strip()
    if not key:
        raise RecipeError(f"'={text}' has no key; write it as training.l2=1e-6:1e-3:4")
    digits = 4 if ":" in text else 12
    values = tuple(f"{value:.{digits}g}" for value in _values(key, text))
    if len(set(values)) < len(values):
        raise RecipeError(f"{key}={text} has a value twice; ask for fewer or for other values")
    return Axis(key, values)


def _values(key: str, text: str) -> list[float]:
    cure = f"write {key}=LOW:HIGH:N (1e-4:1e-1:7) or {key}=A,B,C (0,1e-5,1e-4)"
    try:
        if ":" not in text:
            values = [float(part) for part in text.split(",")]
            if not all(map(math.isfinite, values)):
                raise RecipeError(f"{key}={text} has a value that is not finite; {cure}")
            return values
        low, high, count = text.split(":")
        return _log_space(key, float(low), float(high), int(count))
    except ValueError:
        raise RecipeError(f"{key}={text} is not understood; {cure}") from None


def _log_space(key: str, low: float, high: float, count: int) -> list[float]:
    if not (0 < low < math.inf and 0 < high < math.inf):
        raise RecipeError(
            f"{key}={low:g}:{high:g}:{count} is a range in log space and must lie above 0; give other ends, "
            f"or the values themselves ({key}=0,1e-5,1e-4)"
        )
    if not 2 <= count <= MOST_VALUES:
        raise RecipeError(
            f"{key}={low:g}:{high:g}:{count} asks for {count} values; ask for 2 to {MOST_VALUES}"
        )
    return [low * (high / low) ** (step / (count - 1)) for step in range(count)]
