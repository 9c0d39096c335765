"""One line on stderr about where a long piece of work stands."""

import sys
import time


class TerminalLine:
    """Rewrites one line in place on a terminal; in a log, prints one now and then, or none.

    every_s: seconds between two showings on a terminal; in_a_log_s: the same in a log, None is never.
    A stderr that is closed, or closes, makes it silent: no work ends for that.
    """

    def __init__(self, *, every_s: float = 0.1, in_a_log_s: float | None = None, quiet: bool = False) -> None:
        self._quiet = quiet or sys.stderr is None
        self._terminal = not self._quiet and sys.stderr.isatty()
        self._every_s = every_s if self._terminal else in_a_log_s
        self._shown = time.monotonic()

    def show(self, line: str) -> None:
        """Show where the work stands, unless the last showing is too near."""
        now = time.monotonic()
        if self._every_s is not None and now - self._shown >= self._every_s:
            self._shown = now
            self._write(f"\r\x1b[2K{line}" if self._terminal else f"{line}\n")

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._write(f"\r\x1b[2K{line}\n" if self._terminal else f"{line}\n")

    def clear(self) -> None:
        """Leave the terminal's line to others."""
        if self._terminal:
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        if self._quiet:
            return
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):  # its reader has gone, its disk is full, or it is closed
            self._quiet = True
