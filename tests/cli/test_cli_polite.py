"""How commands end: exit codes, one line on stderr, no traceback, quiet pipes."""

import errno
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner, Result

from tombola.cli.polite import PoliteCommand, PoliteGroup
from tombola.errors import DataError, PictureError


def run_raising(error: BaseException) -> Result:
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command(cls=PoliteCommand)
    def command() -> None:
        raise error

    return CliRunner().invoke(app)


@pytest.fixture(autouse=True)
def no_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOMBOLA_DEBUG", raising=False)


def test_an_expected_error_is_one_line_and_exit_1() -> None:
    result = run_raising(PictureError("photo.jpg is empty; take another"))
    assert (result.exit_code, result.stdout, result.stderr) == (
        1,
        "",
        "error: photo.jpg is empty; take another\n",
    )


def test_further_lines_are_indented_and_cannot_steer_the_terminal() -> None:
    result = run_raising(DataError("first\n  second\x1b[2J\n\n"))
    assert result.stderr == "error: first\n  second\\x1b[2J\n"


def test_a_missing_training_extra_is_named_with_its_command() -> None:
    result = run_raising(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))
    assert result.exit_code == 1
    assert result.stderr == (
        "error: this command needs torch, which is not installed: pip install 'tombola[train]'\n"
    )


def test_a_missing_library_of_the_system_is_named_with_its_package() -> None:
    error = ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
    result = run_raising(error)
    assert result.exit_code == 1
    assert result.stderr == (
        "error: OpenCV needs libGL.so.1, which this machine lacks: apt install libgl1, or install "
        "opencv-python-headless instead of opencv-python\n"
    )
    assert isinstance(run_raising(ImportError("cannot import name 'x'")).exception, ImportError)


def test_another_missing_module_is_our_own_mistake() -> None:
    result = run_raising(ModuleNotFoundError("No module named 'nonsense'", name="nonsense"))
    assert isinstance(result.exception, ModuleNotFoundError)


def test_an_operating_system_error_names_the_file() -> None:
    result = run_raising(OSError(errno.ENOSPC, "No space left on device", "out/photo.jpg"))
    assert (result.exit_code, result.stderr) == (1, "error: out/photo.jpg: No space left on device\n")


def test_ctrl_c_is_130_and_silent() -> None:
    result = run_raising(KeyboardInterrupt())
    assert (result.exit_code, result.output) == (130, "")


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOMBOLA_DEBUG", "1")
    assert isinstance(run_raising(PictureError("empty")).exception, PictureError)


def test_groups_are_polite_too() -> None:
    app = typer.Typer(cls=PoliteGroup, rich_markup_mode=None)

    @app.callback()
    def group() -> None:
        """A group."""

    @app.command()
    def command() -> None:
        raise PictureError("empty")

    result = CliRunner().invoke(app, ["command"])
    assert (result.exit_code, result.stderr) == (1, "error: empty\n")


def in_process(body: str) -> list[str]:
    """A Python command line for a small polite program whose one command is `body`."""
    program = """
        import os, signal, sys, typer
        from tombola.cli.polite import PoliteCommand
        app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
        @app.command(cls=PoliteCommand)
        def command() -> None:
            BODY
        app()
    """
    return [sys.executable, "-c", textwrap.dedent(program).replace("BODY", body)]


def test_a_closed_pipe_is_quiet() -> None:
    producer = subprocess.Popen(
        in_process("print('x\\n' * 200_000)"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert producer.stdout is not None
    assert producer.stderr is not None
    assert producer.stdout.readline() == "x\n"
    producer.stdout.close()
    assert producer.stderr.read() == ""
    producer.stderr.close()
    assert producer.wait(timeout=30) == 1


@pytest.mark.parametrize("command", ["tombola --version", "tombola -h", "detect -h", "tombola doctor"])
def test_a_full_stdout_is_named(shell: Callable[..., subprocess.CompletedProcess[str]], command: str) -> None:
    done = shell(f"{command} >/dev/full")
    assert done.returncode == 1
    assert (
        done.stderr == "error: stdout takes no more (No space left on device); send it where there is room\n"
    )


@pytest.mark.parametrize(
    "command", ["tombola train gone.toml", "tombola inspect gone.onnx", "detect gone.jpg"]
)
def test_a_closed_stdout_is_told_before_any_work(
    shell: Callable[..., subprocess.CompletedProcess[str]], command: str
) -> None:
    done = shell(f"{command} >&-")
    assert (done.returncode, done.stderr.partition(",")[0]) == (1, "error: stdout is closed")


def test_a_real_interrupt_ends_with_130_and_no_traceback() -> None:
    done = subprocess.run(
        in_process("os.kill(os.getpid(), signal.SIGINT)"),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        # A shell's background job has it ignored, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_exit_codes_of_the_script(shell: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert shell("tombola --version").returncode == 0
    assert shell("tombola verify missing.onnx").returncode == 1
    wrong = shell("tombola detcet photo.jpg")
    assert wrong.returncode == 2
    assert "Did you mean 'detect'?" in wrong.stderr
    assert "Traceback" not in wrong.stderr
