"""One line that is rewritten on a terminal, printed now and then in a log, and never an error."""

import io
import sys

import pytest

from tombola.terminal_line import TerminalLine


class Terminal(io.StringIO):
    """What is written to it, as a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, to be set."""
    seconds = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: seconds[0])
    return seconds


def show_at(line: TerminalLine, clock: list[float], seconds: list[float]) -> None:
    for now in seconds:
        clock[0] = now
        line.show(f"at {now:g}")


def test_a_log_gets_a_line_now_and_then(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    line = TerminalLine(every_s=0.1, in_a_log_s=30.0)
    show_at(line, clock, [1.0, 31.0, 32.0, 61.0])
    line.clear()
    line.say("done")
    assert capsys.readouterr().err == "at 31\nat 61\ndone\n"


def test_a_log_gets_none_unless_asked(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    show_at(TerminalLine(), clock, [1000.0])
    assert capsys.readouterr().err == ""


def test_a_terminal_has_its_line_rewritten(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    line = TerminalLine(every_s=0.5)
    show_at(line, clock, [0.4, 0.6, 0.9])
    line.clear()
    line.say("done")
    assert isinstance(sys.stderr, Terminal)
    assert sys.stderr.getvalue() == "\r\x1b[2Kat 0.6\r\x1b[2K\r\x1b[2Kdone\n"


def test_a_closed_stderr_ends_nothing(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (None, Terminal()):
        monkeypatch.setattr(sys, "stderr", stream)
        line = TerminalLine(every_s=0.0)
        if stream is not None:
            stream.close()
        show_at(line, clock, [1.0])
        line.clear()
        line.say("done")
