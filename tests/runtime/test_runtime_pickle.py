"""A loaded model that is sent to another process is loaded again there."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from tombola.errors import ModelError
from tombola.runtime.contract.contract import Contract
from tombola.runtime.load import load

MakeContract = Callable[..., Contract]
BLACK = np.zeros((4, 4, 3), np.uint8)

ANSWER = """
import pickle, sys
import numpy as np
detector = pickle.load(sys.stdin.buffer)
print(detector.labels, detector.threads, [found.name for found in detector(np.zeros((4, 4, 3), np.uint8))])
"""


def test_another_process_in_another_folder_answers_alike(
    toy_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(toy_path.parent)
    model = pickle.dumps(load(toy_path.name, device="cpu", threads=1))
    assert len(model) < 4096  # the path and what the file says of itself
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run([sys.executable, "-c", ANSWER], input=model, capture_output=True, cwd=elsewhere)
    assert done.stdout.decode().strip() == "('cat', 'dog', 'bird') 1 ['dog']", done.stderr.decode()


def test_bytes_travel_with_the_model(toy_bytes: bytes) -> None:
    for source in (toy_bytes, bytearray(toy_bytes), memoryview(toy_bytes)):
        again = pickle.loads(pickle.dumps(load(source, device="cpu")))
        assert again(BLACK).names == ("dog",)
    assert copy.deepcopy(again)(BLACK).names == ("dog",)


def test_file_that_was_changed_or_removed_meanwhile(
    toy_path: Path, make_toy: Callable[..., onnx.ModelProto], make_contract: MakeContract
) -> None:
    model = pickle.dumps(load(toy_path, device="cpu"))
    other = make_contract(labels=("cat", "cow", "bird")).to_metadata()
    toy_path.write_bytes(make_toy(metadata=other).SerializeToString())
    with pytest.raises(ModelError, match="holds another model now"):
        pickle.loads(model)
    toy_path.unlink()
    with pytest.raises(ModelError, match=r"toy\.onnx: no such file"):
        pickle.loads(model)
