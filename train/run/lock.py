"""One training at a time in a run folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tombola.errors import OutputError, TrainingError

if sys.platform != "win32":
    import fcntl

_held: set[int] = set()  # file descriptors


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the folder, which is made if need be; TrainingError if another training holds it.

    The lock is the system's on the file .lock and ends with the process, however that ends. Where a file
    system, or Windows, has no such locks nobody is kept out.
    """
    if sys.platform == "win32":
        folder.mkdir(parents=True, exist_ok=True)
        yield
        return
    path = folder / ".lock"
    descriptor = _take(path)
    _held.add(descriptor)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        _held.discard(descriptor)
        os.close(descriptor)


def _take(path: Path) -> int:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OutputError(
                f"{path.parent} cannot be written to ({error.strerror or error}); choose another place"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            by = f" by process {holder}" if holder else ""
            raise TrainingError(
                f"{path.parent} is in use{by}, which trains there; wait for it, or choose another --out"
            ) from None
        except OSError:  # a file system without locks
            return descriptor
        # Whoever held it before may have removed the file since it was opened here.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                os.truncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return descriptor
        os.close(descriptor)


def _let_go_in_child() -> None:
    # A loader process that outlives its parent for a moment must not keep a --resume out.
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_let_go_in_child)
