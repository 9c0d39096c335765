"""The line about where a training stands, and the signals that stop it."""

import io
import signal
import sys
from types import SimpleNamespace

import pytest

from tombola.train.loop.progress import ProgressLine
from tombola.train.loop.stop_signals import stop_signals


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """One number, the time in seconds."""
    now = [100.0]
    # Not time.monotonic itself: a loader that ends meanwhile waits by it.
    for module in ("tombola.train.loop.progress", "tombola.terminal_line"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_terminal_shows_steps_and_validation_in_one_line(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    line = ProgressLine(10, quiet=False)
    for step in (4, 5):  # the first of a resumed training, so that two steps took two seconds
        clock[0] += 1
        line.step(1, step, 2.0)
    clock[0] += 1
    line.judge(3, 20)
    line.judge(4, 20)  # too soon after the last
    line.say("epoch 2/5")
    line.clear()
    shown = terminal.getvalue().split("\r\x1b[2K")[1:]
    assert shown == [
        "epoch 2  step 5/10  loss 2.000  0:05 left",
        "epoch 2  step 6/10  loss 2.000  0:04 left",
        "validation  picture 3/20",
        "epoch 2/5\n",
        "",
    ]


def test_a_log_gets_a_line_a_minute(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine(1000, quiet=False)
    for done in range(1, 131):
        clock[0] += 1
        line.judge(done, 130)
    line.clear()
    assert capsys.readouterr().err == "validation  picture 60/130\nvalidation  picture 120/130\n"


def test_a_quiet_one_says_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine(10, quiet=True)
    clock[0] += 100
    line.step(0, 0, 1.0)
    line.say("line")
    assert capsys.readouterr().err == ""


def test_a_stderr_that_is_closed_does_not_end_a_training(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Gone(io.StringIO):
        writes = 0

        def write(self, _: str) -> int:
            Gone.writes += 1
            raise BrokenPipeError

    for stream in (None, Gone()):
        monkeypatch.setattr(sys, "stderr", stream)
        line = ProgressLine(10, quiet=False)
        for step in range(3):
            clock[0] += 100
            line.step(0, step, 1.0)
            line.say("line")
    assert Gone.writes == 1
    assert capsys.readouterr().out == ""  # print would write there when there is no stderr


def test_the_first_signal_is_answered_at_once_and_the_second_ends_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_signals("stopping after this step") as stopped:
        signal.raise_signal(signal.SIGTERM)
        assert stopped == [True]
        assert capfd.readouterr().err == "stopping after this step\n"
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().err == ""
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_a_terminal_that_closes_stops_a_training_unless_nohup_says_no() -> None:
    with stop_signals() as stopped:
        signal.raise_signal(signal.SIGHUP)
    assert stopped == [True]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals() as stopped:
            signal.raise_signal(signal.SIGHUP)
        assert stopped == [False]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
