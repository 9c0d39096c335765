"""Work in a process of its own: what goes wrong there is an error here."""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tombola.errors import DeviceError, ModelError
from tombola.runtime.contract.contract import Probe
from tombola.runtime.session.child import run_child
from tombola.runtime.verify import verify, verify_apart


def test_what_it_prints_comes_back() -> None:
    assert run_child("print(sys.argv[1:])", "a b", "c", name="x") == "['a b', 'c']\n"


def test_an_error_of_ours_comes_back_as_itself() -> None:
    code = "from tombola.errors import DeviceError\nraise DeviceError('cuda: is not there')"
    with pytest.raises(DeviceError, match=r"^cuda: is not there$"):
        run_child(code, name="x")


def test_another_error_names_the_thing() -> None:
    with pytest.raises(ModelError, match=r"^x: the process that ran it failed: ZeroDivisionError"):
        run_child("1 / 0", name="x")


@pytest.mark.skipif(sys.platform == "win32", reason="has no signals")
def test_a_crash_is_an_error_here() -> None:
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"
    with pytest.raises(ModelError, match=r"^x: crashed the process that ran it \(SIGSEGV\)"):
        run_child(code, name="x")


def test_what_takes_too_long_is_stopped() -> None:
    with pytest.raises(ModelError, match=r"^x: took longer than 0\.5 s"):
        run_child("import time\ntime.sleep(60)", name="x", seconds=0.5)


def test_verify_apart_says_what_verify_says(toy_path: Path) -> None:
    assert verify_apart(toy_path, "cpu") == verify(toy_path, "cpu")
    with pytest.raises(ModelError, match=r"gone\.onnx: no such file"):
        verify_apart(toy_path.with_name("gone.onnx"))


def test_model_without_end_does_not_hold_up_verify(
    make_classifier: Callable[..., bytes],
    endless_text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tombola.runtime.verify.MOST_SECONDS", 3.0)
    png = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    probe = Probe(png, {"probabilities": [0.25, 0.25, 0.5]})
    path = tmp_path / "endless.onnx"
    path.write_bytes(make_classifier(text=endless_text, probes=(probe,)))
    with pytest.raises(ModelError, match=r"endless\.onnx: took longer than 3 s"):
        verify_apart(path, "cpu")
