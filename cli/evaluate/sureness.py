"""How sure a score is: its interval, and its difference from another one on the same pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tombola.cli.evaluate.evaluation import Evaluated
from tombola.cli.table import wrap

if TYPE_CHECKING:
    from tombola.train.metrics.bootstrap import Interval


@dataclass(frozen=True)
class Sureness:
    """The interval of the score that decides; the other model, its score and the interval of the difference.
    Each None (the score NaN) where it was not asked for."""

    interval: "Interval | None"
    against: Path | None
    other: float
    difference: "Interval | None"


def sureness(asked: Evaluated, scores: Any, other: Any) -> Sureness:
    """Of the scores of what is asked, and of `asked.against` (None without)."""
    from tombola.train.evaluate import difference_interval, score_interval

    return Sureness(
        interval=score_interval(scores) if asked.interval else None,
        against=asked.against,
        other=float("nan") if other is None else other.main,
        difference=None if other is None else difference_interval(scores, other),
    )


def sure_text(sure: Sureness) -> str:
    """`  (95 %: 60.1 … 66.0)` to stand behind the score, or nothing."""
    from tombola.train.metrics.score import percent

    if sure.interval is None:
        return ""
    return f"  (95 %: {percent(sure.interval.low)} … {percent(sure.interval.high)})"


def against_text(sure: Sureness, value: float, columns: int | None) -> list[str]:
    """Lines on how far the score `value` is from that of the other; none without another."""
    from tombola.train.metrics.score import percent

    if sure.difference is None:
        return []
    low, high = sure.difference.low, sure.difference.high
    verdict = "; 0 lies in it, so either may be better" if low <= 0 <= high else ""
    sentence = (
        f"against {sure.against}: {percent(value)} and {percent(sure.other)}, "
        f"difference {100 * (value - sure.other):+.1f} (95 %: {100 * low:+.1f} … {100 * high:+.1f}){verdict}"
    )
    return wrap(sentence, columns=columns)


def sure_json(sure: Sureness, value: float) -> dict[str, Any]:
    """The same for JSON: `interval` and `against`, each only where it was asked for."""
    told: dict[str, Any] = {}
    if sure.interval is not None:
        told["interval"] = _interval_json(sure.interval)
    if sure.difference is not None:
        told["against"] = {
            "model": str(sure.against),
            "score": known(sure.other),
            "difference": known(value - sure.other),
            "interval": _interval_json(sure.difference),
        }
    return told


def known(value: float) -> float | None:
    """A share for JSON, which has no NaN: null where there is nothing to find."""
    return None if value != value else round(value, 6)


def _interval_json(interval: "Interval") -> list[float | None]:
    return [known(interval.low), known(interval.high)]
