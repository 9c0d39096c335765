"""Files that are not ours, are damaged, or ask for what this machine has not."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import tombola
from tombola.errors import DeviceError, ModelError
from tombola.runtime.contract.contract import Contract
from tombola.runtime.load import inspect_model, load
from tombola.runtime.session import cuda
from tombola.runtime.session.session import open_session
from tombola.runtime.tasks.detect.model import Detector

MakeToy = Callable[..., onnx.ModelProto]
MakeContract = Callable[..., Contract]
BLACK = np.zeros((4, 4, 3), np.uint8)


def test_path_text_and_bytes_load_the_same(toy_path: Path) -> None:
    for source in (toy_path, str(toy_path), toy_path.read_bytes()):
        assert load(source, device="cpu", task="detect")(BLACK).names == ("dog",)


def test_public_face_loads(toy_path: Path) -> None:
    assert isinstance(tombola.load(toy_path), tombola.Detector)


def test_missing_folder_empty_and_text(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.onnx: no such file"):
        load(tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match="is a folder"):
        load(tmp_path)
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"empty\.onnx: the file is empty"):
        load(tmp_path / "empty.onnx")
    (tmp_path / "text.onnx").write_text("I am no model.")
    with pytest.raises(ModelError, match=r"text\.onnx: the file"):
        load(tmp_path / "text.onnx")
    with pytest.raises(ModelError, match="cannot load a model from int"):
        load(5)  # type: ignore[call-overload]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_device_without_an_end() -> None:
    with pytest.raises(ModelError, match="/dev/zero: is not a regular file"):
        load("/dev/zero")


def test_cut_off_file(toy_path: Path) -> None:
    data = toy_path.read_bytes()
    toy_path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match=r"toy\.onnx: the file is damaged or cut off"):
        load(toy_path)


def test_file_over_the_limit_is_refused_before_it_is_read(toy_path: Path) -> None:
    size = toy_path.stat().st_size
    with pytest.raises(ModelError, match="raise max_bytes"):
        load(toy_path, max_bytes=size - 1)
    with pytest.raises(ModelError, match="raise max_bytes"):
        load(toy_path.read_bytes(), max_bytes=size - 1)
    assert load(toy_path, device="cpu", max_bytes=size).labels
    os.truncate(toy_path, 600 * 1024 * 1024)  # a sparse file: no such bytes are on the disk
    with pytest.raises(ModelError, match="629 MB is more than the limit of 537 MB"):
        load(toy_path)


def test_onnx_file_of_somebody_else(make_toy: MakeToy) -> None:
    model = make_toy(metadata={"author": "somebody", "names": "{0: 'cat'}", "task": "detect"})
    with pytest.raises(ModelError, match="not a Tombola model"):
        load(model.SerializeToString())


def test_what_an_error_quotes_of_a_file_is_cut(make_toy: MakeToy, make_contract: MakeContract) -> None:
    metadata = {**make_contract().to_metadata(), "tombola.labels": f'["{"x" * 9999}", "{"x" * 9999}"]'}
    with pytest.raises(ModelError, match="'xxx") as error:
        load(make_toy(metadata=metadata).SerializeToString())
    assert len(str(error.value)) < 700


def test_format_of_onnxruntimes_own_is_not_taken(
    tmp_path: Path, make_classifier: Callable[..., bytes]
) -> None:
    """Its bytes 4 to 8 say ORTM; a file may say so and be a model that was never checked."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    onnxruntime.InferenceSession(make_classifier(), options, providers=["CPUExecutionProvider"])
    data = (tmp_path / "model.ort").read_bytes()
    assert onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).get_inputs()
    with pytest.raises(ModelError, match="refuses the file"):
        open_session(data, "cpu", trial_feeds=small_question)


def test_another_task_and_another_contract(make_toy: MakeToy, make_contract: MakeContract) -> None:
    metadata = make_contract().to_metadata()
    with pytest.raises(ModelError, match="'segment' is not a task this version runs"):
        load(make_toy(metadata={**metadata, "tombola.task": "segment"}).SerializeToString())
    with pytest.raises(ModelError, match="version 2 is not one this Tombola reads"):
        load(make_toy(metadata={**metadata, "tombola.contract": "2"}).SerializeToString())


def test_external_data_outside_of_the_folder(tmp_path: Path, make_toy: MakeToy) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.bin").write_bytes(np.ones(4, np.float32).tobytes())
    model = make_toy()
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.append(onnx.StringStringEntryProto(key="location", value="../secret.bin"))
    model.graph.initializer.append(tensor)
    path = inside / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="'w' keeps its data in another file"):
        load(path)


def test_foreign_operator(make_toy: MakeToy) -> None:
    model = make_toy()
    model.graph.node.append(helper.make_node("Gelu", ["scores"], ["x"], domain="com.microsoft"))
    with pytest.raises(ModelError, match=r"Gelu of the foreign domain 'com\.microsoft'"):
        load(model.SerializeToString())


def test_fixed_picture_size(make_toy: MakeToy, toy_text: str) -> None:
    text = toy_text.replace("uint8[height, width, 3]", "uint8[320, 320, 3]")
    with pytest.raises(ModelError, match=r"\[320, 320, 3\]"):
        load(make_toy(text).SerializeToString())


def test_graph_that_onnxruntime_refuses(make_toy: MakeToy) -> None:
    model = make_toy()
    model.graph.node.append(helper.make_node("NoSuchOperator", ["scores"], ["x"]))
    with pytest.raises(ModelError, match=r"onnxruntime .* refuses the file"):
        load(model.SerializeToString(), device="cpu")


def test_threads_option(toy_bytes: bytes) -> None:
    detector = load(toy_bytes, device="cpu", threads=1)
    assert detector.threads == 1
    assert 1 <= load(toy_bytes, device="cpu").threads <= (os.cpu_count() or 1)
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(DeviceError, match="threads"):
            load(toy_bytes, threads=wrong)  # type: ignore[arg-type]


def test_unknown_device(toy_bytes: bytes) -> None:
    with pytest.raises(DeviceError, match="'gpu' is not known"):
        load(toy_bytes, device="gpu")


def test_cpu_says_that_it_was_asked_for(toy: Detector) -> None:
    assert (toy.device, toy.device_note) == ("cpu", "the CPU was asked for")


needs_no_cuda = pytest.mark.skipif(
    cuda.has_cuda_build() and cuda.has_driver(), reason="CUDA may work on this machine"
)


@needs_no_cuda
def test_auto_falls_back_and_says_why(toy_bytes: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    detector = load(toy_bytes)
    assert detector.device == "cpu"
    assert detector.device_note.startswith("CUDA is not used: ")
    assert capfd.readouterr() == ("", "")


@needs_no_cuda
def test_cuda_that_cannot_be_had_names_what_is_missing(
    toy_bytes: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DeviceError) as error:
        load(toy_bytes, device="cuda")
    message = str(error.value)
    assert "device='cpu'" in message
    if cuda.has_cuda_build():
        assert cuda.DRIVER in message
    else:
        assert "built without CUDA" in message
    assert capfd.readouterr() == ("", "")


class FakeSession:
    """A session that claims a provider, and fails on its first run where `fails` says so."""

    def __init__(self, providers: list[str], fails: str = "") -> None:
        self._providers, self._fails = providers, fails

    def get_providers(self) -> list[str]:
        return self._providers

    def get_outputs(self) -> list[object]:
        return []

    def disable_fallback(self) -> None:
        pass

    def run(self, *_: object) -> list[object]:
        if self._fails:
            raise RuntimeError(self._fails)
        return []


def pretend_cuda(monkeypatch: pytest.MonkeyPatch, session: FakeSession, missing: list[str]) -> None:
    def create(_model: bytes, options: object, providers: list[object], **_: object) -> object:
        return session if len(providers) == 2 else real(_model, options, providers=providers)

    real = onnxruntime.InferenceSession
    monkeypatch.setattr(cuda, "has_cuda_build", lambda: True)
    monkeypatch.setattr(cuda, "has_driver", lambda: True)
    monkeypatch.setattr(cuda, "preload", lambda: "")
    monkeypatch.setattr(cuda, "missing_libraries", lambda: missing)
    monkeypatch.setattr(onnxruntime, "InferenceSession", create)


BOTH = ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("session", "missing", "reason"),
    [
        (FakeSession(BOTH[1:]), ["libcublasLt.so.13"], r"libcublasLt\.so\.13 cannot be loaded"),
        (FakeSession(BOTH[1:]), [], "does not suit this onnxruntime"),
        (
            FakeSession(BOTH, "libcudnn.so.9 not found\nmore"),
            [],
            r"first run on it failed \(libcudnn\.so\.9 not found\)",
        ),
    ],
)
def test_only_a_session_that_ran_on_cuda_counts(
    monkeypatch: pytest.MonkeyPatch, toy_bytes: bytes, session: FakeSession, missing: list[str], reason: str
) -> None:
    pretend_cuda(monkeypatch, session, missing)
    with pytest.raises(DeviceError, match=reason):
        open_session(toy_bytes, "cuda", trial_feeds=small_question)
    fallen_back = open_session(toy_bytes, "auto", trial_feeds=small_question)
    assert fallen_back.device == "cpu"
    assert fallen_back.note.startswith("CUDA is not used: ")


def test_cuda_that_works_is_taken(monkeypatch: pytest.MonkeyPatch, toy_bytes: bytes) -> None:
    pretend_cuda(monkeypatch, FakeSession(BOTH), [])
    for device in ("auto", "cuda"):
        session = open_session(toy_bytes, device, trial_feeds=small_question)
        assert (session.device, session.note) == ("cuda", "")


def test_a_first_run_on_cuda_is_fed_what_the_task_takes(
    monkeypatch: pytest.MonkeyPatch, toy_path: Path
) -> None:
    asked: list[Any] = []
    session = FakeSession(BOTH)
    monkeypatch.setattr(session, "run", lambda _, feeds: asked.append(feeds))
    pretend_cuda(monkeypatch, session, [])
    load(toy_path)
    assert [{name: array.shape for name, array in feeds.items()} for feeds in asked] == [
        {"image": (32, 32, 3)}
    ]


def small_question() -> dict[str, np.ndarray[Any, Any]]:
    return {"image": np.zeros((8, 8, 3), np.uint8)}


def test_missing_libraries_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def preload_dlls() -> None:
        print("Failed to load libcublas.so.13: libcublas.so.13: cannot open shared object file")
        print("Please follow https://example.org to install CUDA.")

    errors = {cuda.DRIVER: None, cuda.PROVIDER: "libcudnn.so.9: cannot open shared object file"}
    monkeypatch.setattr(onnxruntime, "preload_dlls", preload_dlls)
    monkeypatch.setattr(cuda, "_load_error", lambda name: errors[Path(name).name])
    assert cuda.missing_libraries() == ["libcublas.so.13", "libcudnn.so.9"]


def test_inspect_tells_contract_and_graph_without_running(toy_path: Path) -> None:
    contract, graph = inspect_model(toy_path)
    assert contract.labels == ("cat", "dog", "bird")
    assert graph.op_counts["NonMaxSuppression"] == 1
    with pytest.raises(ModelError, match="no such file"):
        inspect_model(toy_path.with_name("gone.onnx"))
    toy_path.write_bytes(toy_path.read_bytes()[:500])
    with pytest.raises(ModelError, match=r"toy\.onnx: the file is damaged or cut off"):
        inspect_model(toy_path)


def run_python(code: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    ).stdout


def test_runtime_imports_nothing_heavy() -> None:
    """Every module of the room, in a process of its own."""
    code = """
import importlib, pkgutil, sys
import tombola.runtime
for module in pkgutil.walk_packages(tombola.runtime.__path__, "tombola.runtime."):
    importlib.import_module(module.name)
heavy = {"torch", "onnx", "onnxscript", "pydantic", "matplotlib", "rich", "typer", "supervision", "scipy"}
print(sorted(heavy & set(sys.modules)))
"""
    assert run_python(code).strip() == "[]"


def test_an_answer_loads_no_more_than_it_needs(toy_path: Path) -> None:
    code = """
import sys
import onnxruntime, cv2
before = set(sys.modules)
import numpy as np
import tombola
found = tombola.load(sys.argv[1])(np.zeros((4, 4, 3), np.uint8))
unwanted = {"subprocess", "importlib.metadata", "asyncio"}
unwanted |= {"tombola.runtime.tasks.detect.draw", "tombola.runtime.session.bench"}
print(len(found), sorted(unwanted & (set(sys.modules) - before)))
"""
    assert run_python(code, str(toy_path)).strip() == "1 []"
