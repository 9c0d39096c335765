"""What one check of the preflight found."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "fault", "skipped"]


@dataclass(frozen=True)
class Finding:
    """check: its name, as in preflight.CHECKS. sentence: the thing, its value and, if not ok, the cure."""

    check: str
    level: Level
    sentence: str
