"""How long a model may take: a limit for files whose maker is not known."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import TIMEOUT_MAX, Timer

from tombola.errors import ModelError


@dataclass(frozen=True)
class Deadline:
    """Seconds that one step of a model may take; None is no limit."""

    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.seconds is None:
            return
        is_number = isinstance(self.seconds, int | float) and not isinstance(self.seconds, bool)
        if not is_number or not 0 < self.seconds < float("inf"):
            raise ModelError(f"deadline_s: {self.seconds!r} must be a number of seconds above 0.")

    @contextmanager
    def watch(self, step: str, stop: Callable[[], None]) -> Iterator[None]:
        """Call `stop` where the block takes longer, and raise ModelError in place of what it then raises.

        onnxruntime looks for the stop between two nodes: a single one that is too large still ends by itself.
        """
        if self.seconds is None:
            yield
            return
        is_over = False

        def ring() -> None:
            nonlocal is_over
            is_over = True
            stop()

        timer = Timer(min(self.seconds, TIMEOUT_MAX), ring)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception as error:
            if is_over:
                raise ModelError(
                    f"{step} took longer than the deadline of {self.seconds:g} s; "
                    "raise deadline_s if you trust the file."
                ) from error
            raise
        finally:
            timer.cancel()
