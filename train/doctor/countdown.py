"""The time that a part of the preflight has, told while it passes."""

import time
from collections.abc import Callable

from tombola.train.loop.progress import clock


class Countdown:
    """Begins when it is made. `show` gets lines that may replace each other."""

    def __init__(self, check: str, seconds: float, show: Callable[[str], None]) -> None:
        self._check = check
        self._end = time.monotonic() + seconds
        self._show = show

    @property
    def left_s(self) -> float:
        """Seconds until the end; negative after it."""
        return self._end - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the time is used up."""
        return self.left_s <= 0

    def tell(self, step: int) -> None:
        """Show how far the check is, and how long it will take at most."""
        self._show(f"{self._check}  step {step}  {clock(max(0.0, self.left_s))} left at most")
