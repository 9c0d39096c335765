"""What a process of ours loads and reaches: no code of the current folder, no socket."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tombola.runtime.session.contestant import Contestant
from tombola.runtime.tasks.table import noise_picture
from tombola.train.search.point import Point
from tombola.train.search.process import command

SHIPPED = Path(__file__).parents[1] / "runtime" / "models" / "fashion-mnist-classifier.onnx"


@pytest.fixture
def evil_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with modules in it that leave a trace when they are imported."""
    folder = tmp_path / "evil"
    folder.mkdir()
    for name in ("numpy", "typer", "cv2", "torch", "json", "pickle"):
        trace = f"open({str(folder / 'ran')!r}, 'w').close()\nraise SystemExit('the folder ran')\n"
        (folder / f"{name}.py").write_text(trace)
    monkeypatch.chdir(folder)
    return folder


def test_measuring_runs_nothing_of_the_current_folder(evil_folder: Path) -> None:
    with closing(Contestant(SHIPPED, noise_picture((28, 28)), "cpu", 1)) as contestant:
        peak = contestant.start["peak_memory_mib"]
    assert peak is None or peak > 10
    assert not (evil_folder / "ran").exists()


@pytest.mark.parametrize("start", [command(Point((), ()), Path(), "cpu")[:3], [sys.executable, "-m"]])
def test_started_commands_run_nothing_of_the_current_folder(evil_folder: Path, start: list[str]) -> None:
    start = start[: start.index("-m") + 1]
    done = subprocess.run([*start, "tombola.cli", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("tombola "), done.stderr
    assert not (evil_folder / "ran").exists()


# A filter of system calls that ends the process at the first socket of the internet family.
NO_SOCKETS = """
import ctypes, struct
AUDIT = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
def forbid_sockets(machine):
    arch, socket_call = AUDIT[machine]
    lines = [  # load the architecture, the call's number, its first argument; end the process or allow
        (0x20, 0, 0, 4), (0x15, 1, 0, arch), (0x06, 0, 0, 0x7FFF0000),
        (0x20, 0, 0, 0), (0x15, 1, 0, socket_call), (0x06, 0, 0, 0x7FFF0000),
        (0x20, 0, 0, 16), (0x15, 0, 1, 1), (0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x80000000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges
    assert libc.prctl(22, 2, program) == 0, ctypes.get_errno()
"""


def without_sockets(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    code = f"{NO_SOCKETS}\nimport os\nforbid_sockets(os.uname().machine)\n{code}"
    return subprocess.run(
        [sys.executable, "-c", code, str(SHIPPED)], env=environment, capture_output=True, text=True
    )


ANSWER = """
import sys
import numpy as np
import tombola
print(tombola.load(sys.argv[1], "cpu")(np.zeros((28, 28, 3), np.uint8)).size_hw)
"""
linux = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"), reason="filters Linux's calls"
)


@linux
def test_the_filter_ends_a_process_that_opens_a_socket(tmp_path: Path) -> None:
    done = without_sockets("import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", tmp_path)
    assert done.returncode == -31, done.stderr  # SIGSYS
    assert without_sockets("import socket; socket.socket(socket.AF_UNIX)", tmp_path).returncode == 0


@linux
def test_an_answer_opens_no_socket_and_leaves_no_file(tmp_path: Path) -> None:
    done = without_sockets(ANSWER, tmp_path)
    assert done.stdout.strip() == "(28, 28)", done.stderr
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.slow
@linux
def test_no_socket_in_the_first_minute(tmp_path: Path) -> None:
    """onnxruntime's first report comes after half of one."""
    done = without_sockets(f"{ANSWER}\nimport time; time.sleep(60)", tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == []


def test_the_users_own_choice_of_telemetry_stays() -> None:
    code = "import os, tombola; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, wanted in ((None, "1"), ("0", "0"), ("", "")):
        environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
        environment |= {} if given is None else {"ORT_DISABLE_TELEMETRY": given}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert done.stdout == f"{wanted}\n", done.stderr
