"""Ctrl-C as a wish to stop in good order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals() -> Iterator[list[bool]]:
    """SIGINT and SIGTERM set the yielded flag instead of ending the process; a second SIGINT ends it."""
    stopped = [False]

    def note(signum: int, _: object) -> None:
        if stopped[0] and signum == signal.SIGINT:
            raise KeyboardInterrupt
        stopped[0] = True

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    except ValueError:  # not in the main thread: signals stay with the caller
        pass
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
