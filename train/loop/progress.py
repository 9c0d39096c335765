"""One line about where a training stands."""

import time

from tombola.terminal_line import TerminalLine


class ProgressLine:
    """Prints epoch, step, loss and the time left: rewritten in place on a terminal, once a minute in a
    log. A stderr that is closed, or closes, makes it silent: a training does not end for that."""

    def __init__(self, total_steps: int, *, quiet: bool) -> None:
        self._total = total_steps
        self._line = TerminalLine(every_s=0.5, in_a_log_s=60.0, quiet=quiet)
        self._first: int | None = None
        self._start = time.monotonic()
        self._loss = 0.0

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Report optimiser step `step` (from 0) of epoch `epoch` (from 0)."""
        if self._first is None:
            self._first, self._loss = step, loss
        self._loss = 0.95 * self._loss + 0.05 * loss
        seconds_a_step = (time.monotonic() - self._start) / (step + 1 - self._first)
        self.show(
            f"epoch {epoch + 1}  step {step + 1}/{self._total}  loss {self._loss:.3f}  "
            f"{clock(seconds_a_step * (self._total - step - 1))} left"
        )

    def judge(self, done: int, total: int) -> None:
        """Report that `done` of `total` validation pictures are judged."""
        self.show(f"validation  picture {done}/{total}")

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._line.say(line)

    def clear(self) -> None:
        """Leave the terminal's line to others."""
        self._line.clear()

    def show(self, line: str) -> None:
        """Print a line that the next one replaces, or leave it out if the last was a moment ago."""
        self._line.show(line)


def clock(seconds: float) -> str:
    """Seconds as "1:02:03", or "2:03"."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
