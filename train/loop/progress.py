"""One line about where a training stands."""

import sys
import time


class ProgressLine:
    """Prints epoch, step, loss and the time left: rewritten in place on a terminal, once a minute in a
    log."""

    def __init__(self, total_steps: int, first_step: int, *, quiet: bool) -> None:
        self._total = total_steps
        self._first = first_step
        self._quiet = quiet
        self._start = self._last_print = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._loss = 0.0

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Report optimiser step `step` (from 0) of epoch `epoch` (from 0)."""
        done = step + 1 - self._first
        self._loss = loss if done == 1 else 0.95 * self._loss + 0.05 * loss
        now = time.monotonic()
        if self._quiet or now - self._last_print < (0.5 if self._terminal else 60.0):
            return
        self._last_print = now
        seconds_left = (now - self._start) / done * (self._total - step - 1)
        line = (
            f"epoch {epoch + 1}  step {step + 1}/{self._total}  loss {self._loss:.3f}  "
            f"{_clock(seconds_left)} left"
        )
        print(
            f"\r\x1b[2K{line}" if self._terminal else line,
            end="" if self._terminal else "\n",
            file=sys.stderr,
        )
        sys.stderr.flush()

    def say(self, line: str) -> None:
        """Print a line that stays."""
        if not self._quiet:
            print(f"\r\x1b[2K{line}" if self._terminal else line, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
