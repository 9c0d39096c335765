"""Ctrl-C as a wish to stop in good order."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals(answer: str = "") -> Iterator[list[bool]]:
    """SIGINT, SIGTERM and SIGHUP set the yielded flag instead of ending the process, and `answer` is said on
    stderr at once; a second SIGINT ends it. A signal that is ignored, as under nohup, stays so."""
    stopped = [False]

    def note(signum: int, _: object) -> None:
        if stopped[0] and signum == signal.SIGINT:
            raise KeyboardInterrupt
        if answer and not stopped[0]:
            _say(answer)
        stopped[0] = True

    before = {}
    try:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, note)
    except ValueError:  # not in the main thread: signals stay with the caller
        pass
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    # Past Python's buffer, which may be in the middle of a line.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        clear = "\r\x1b[2K" if sys.stderr.isatty() else ""
        os.write(sys.stderr.fileno(), f"{clear}{line}\n".encode())
