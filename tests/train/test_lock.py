"""One training at a time in a folder, whatever becomes of the one before."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tombola.errors import OutputError, TrainingError
from tombola.train.run.lock import lock_folder

if sys.platform == "win32":
    pytest.skip("Windows has no such locks", allow_module_level=True)

HOLD = """
import os, sys, time
from pathlib import Path
from tombola.train.run.lock import lock_folder
with lock_folder(Path(sys.argv[1])):
    if os.fork() == 0:  # as a loader process is begun
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_refused_by_name_and_the_folder_left_as_it_was(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "first"
    with lock_folder(run):
        refusal = rf"in use by process {os.getpid()},.*--out"
        with pytest.raises(TrainingError, match=refusal), lock_folder(run):
            pass
        with lock_folder(tmp_path / "runs" / "second"):
            pass
        with pytest.raises(TrainingError, match="in use"), lock_folder(run):
            pass
    with lock_folder(run):
        pass
    assert list(run.iterdir()) == []


def test_a_killed_one_lets_go_at_once_though_its_loader_lives_on(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        with pytest.raises(TrainingError, match=f"process {holder.pid},"), lock_folder(tmp_path):
            pass
        holder.kill()
        holder.wait()
        try:
            with lock_folder(tmp_path):  # its file is still there
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written to"), lock_folder(tmp_path / "file" / "run"):
        pass


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OutputError), lock_folder(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "mine"
