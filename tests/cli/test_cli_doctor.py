"""The doctor's findings, each from an installation made up for the test."""

import itertools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import Result

from tests.toy_captioner import toy_captioner
from tests.toy_generator import plain_generator
from tombola.cli.doctor.checks import Check, section
from tombola.cli.doctor.checkup import checkup
from tombola.cli.doctor.cuda import check_cuda, check_providers, cuda_libraries, where_found
from tombola.cli.doctor.live import camera_size, check_cameras, check_codecs, check_display, writes_clip
from tombola.cli.doctor.packages import (
    ONNXRUNTIMES,
    OPENCVS,
    Distribution,
    check_double,
    check_import,
    check_telemetry,
    check_versions,
    installed,
    wanted_onnxruntime,
    wanted_opencv,
)
from tombola.errors import DisplayError
from tombola.runtime.contract.contract import Probe


def have(*names: str, installer: str = "pip") -> dict[str, Distribution]:
    return {name: Distribution(name, "1.2.3", installer) for name in names}


def nowhere(_: object) -> None:
    """Finds nothing, whatever it is asked for."""


def test_one_onnxruntime_is_fine() -> None:
    assert check_double(ONNXRUNTIMES, "onnxruntime-gpu", have("onnxruntime")) == Check(
        "onnxruntime", "ok", "1.2.3"
    )


def test_telemetry_is_told_as_it_is_set() -> None:
    for setting in ("1", "true", "YES"):
        assert check_telemetry(setting).found == f"onnxruntime's is off (ORT_DISABLE_TELEMETRY={setting})"
    for setting in ("0", "", "no"):
        assert check_telemetry(setting).found == f"onnxruntime's is on (ORT_DISABLE_TELEMETRY={setting})"


def test_two_onnxruntimes_are_broken_and_the_cure_keeps_the_wanted_one() -> None:
    check = check_double(
        ONNXRUNTIMES, "onnxruntime-gpu", have("onnxruntime", "onnxruntime-gpu"), python="/env/bin/python"
    )
    assert check == Check(
        "onnxruntime + onnxruntime-gpu",
        "broken",
        "onnxruntime 1.2.3 and onnxruntime-gpu 1.2.3 are both installed and overwrite each other",
        "/env/bin/python -m pip uninstall -y onnxruntime onnxruntime-gpu\n"
        "/env/bin/python -m pip install --force-reinstall --no-deps onnxruntime-gpu==1.2.3",
    )


def test_two_opencvs_in_an_environment_of_uv_are_repaired_by_uv() -> None:
    check = check_double(
        OPENCVS,
        "opencv-python",
        have("opencv-python", "opencv-python-headless", installer="uv"),
        python="/my env/python",
    )
    assert check.cure == (
        'uv pip uninstall --python "/my env/python" opencv-python opencv-python-headless\n'
        'uv pip install --python "/my env/python" --reinstall --no-deps opencv-python==1.2.3'
    )


def test_two_others_keep_one_of_them() -> None:
    check = check_double(OPENCVS, "opencv-python", have("opencv-python-headless", "opencv-contrib-python"))
    assert check.cure.endswith("opencv-contrib-python==1.2.3")


def test_no_onnxruntime_is_broken() -> None:
    check = check_double(ONNXRUNTIMES, "onnxruntime-gpu", {}, python="python")
    assert (check.state, check.cure) == ("broken", "python -m pip install onnxruntime-gpu")


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("linux", "x86_64", "onnxruntime-gpu"),
        ("linux", "aarch64", "onnxruntime"),
        ("win32", "AMD64", "onnxruntime-gpu"),
        ("darwin", "arm64", "onnxruntime"),
    ],
)
def test_wanted_onnxruntime_follows_the_markers(system: str, machine: str, name: str) -> None:
    assert wanted_onnxruntime(have("tombola"), system, machine) == name
    assert wanted_onnxruntime(have("tombola-lean"), system, machine) == "onnxruntime"


def test_the_lean_distribution_wants_an_opencv_without_windows() -> None:
    assert wanted_opencv(have("tombola-lean")) == "opencv-python-headless"
    assert wanted_opencv(have("tombola")) == "opencv-python"
    training = check_versions(have("tombola-lean", "numpy", "typer", "rich"), "0.1.0")[-1]
    assert "uninstall -y tombola-lean && " in training.cure
    assert training.cure.endswith("install 'tombola[train]'")


def test_both_distributions_at_once_are_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    both = installed() | have("tombola", "tombola-lean")
    monkeypatch.setattr("tombola.cli.doctor.packages.installed", lambda: both)
    _, (_, once) = itertools.islice(checkup(), 2)
    assert (once[0].name, once[0].state) == ("tombola + tombola-lean", "broken")
    assert "uninstall -y tombola tombola-lean\n" in once[0].cure


def test_installed_reads_what_lies_there(tmp_path: Path) -> None:
    for name, installer in (("Open_CV.Python", "uv\n"), ("torch", None)):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        if installer:
            (folder / "INSTALLER").write_text(installer)
    assert installed([str(tmp_path)]) == {
        "open-cv-python": Distribution("open-cv-python", "1.0", "uv"),
        "torch": Distribution("torch", "1.0", ""),
    }


def test_missing_training_extra_is_optional_and_missing_numpy_is_not() -> None:
    checks = {check.name: check for check in check_versions(have("typer", "rich", "torch"), "0.1.0")}
    assert checks["numpy"].state == "broken"
    assert checks["torch"] == Check("torch", "ok", "1.2.3")
    assert checks["training"].state == "absent"
    assert checks["training"].cure == "pip install 'tombola[train]'"
    assert "torch" not in checks["training"].found


def test_cuda_library_names() -> None:
    assert cuda_libraries("12.8", "linux") == (
        "libcudart.so.12",
        "libcublasLt.so.12",
        "libcublas.so.12",
        "libcurand.so.10",
        "libcufft.so.11",
        "libnvrtc.so.12",
        "libcudnn.so.9",
    )
    assert "libcufft.so.12" in cuda_libraries("13.0", "linux")
    assert "cudnn64_9.dll" in cuda_libraries("13.0", "win32")


def test_no_driver_means_no_gpu_and_nothing_broken() -> None:
    (check,) = check_cuda(["libcudart.so.13"], "libcuda.so.1", nowhere)
    assert (check.name, check.state) == ("NVIDIA driver", "absent")


def test_a_missing_library_beside_a_driver_is_named_with_its_cure() -> None:
    places = {"libcuda.so.1": "system", "libcudart.so.13": "/env/nvidia/cu13/lib/libcudart.so.13"}
    checks = check_cuda(["libcudart.so.13", "libcudnn.so.9"], "libcuda.so.1", places.get)
    assert [(check.name, check.state) for check in checks] == [
        ("NVIDIA driver", "ok"),
        ("libcudart.so.13", "ok"),
        ("libcudnn.so.9", "broken"),
    ]
    assert checks[1].found == "/env/nvidia/cu13/lib/libcudart.so.13"
    assert checks[2].cure == "pip install 'onnxruntime-gpu[cuda,cudnn]'"


def test_libraries_are_found_in_wheels_and_by_the_loader(tmp_path: Path) -> None:
    library = tmp_path / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9"
    library.parent.mkdir(parents=True)
    library.touch()
    assert where_found("libcudnn.so.9", [str(tmp_path)]) == str(library)
    assert where_found("libno-such-thing.so.1", [str(tmp_path)]) is None


def opener(**errors: str) -> Callable[[str], str]:
    def open_on(device: str) -> str:
        if device in errors:
            raise RuntimeError(errors[device])
        return device

    return open_on


BOTH = ["CUDAExecutionProvider", "CPUExecutionProvider"]


def test_cuda_that_does_not_load_is_broken_only_where_a_gpu_is() -> None:
    fails = opener(cuda="libcudnn.so.9: cannot open")
    cpu, cuda = check_providers(BOTH, True, fails)
    assert cpu == Check("cpu", "ok", "a session on it runs")
    assert (cuda.state, cuda.found) == ("broken", "built in, but does not load: libcudnn.so.9: cannot open")
    assert check_providers(BOTH, False, fails)[1] == Check(
        "cuda", "absent", "built in, but there is no NVIDIA driver here"
    )


def test_a_cpu_that_does_not_load_is_broken() -> None:
    assert check_providers(BOTH, False, opener(cpu="bad wheel"))[0].state == "broken"


def test_a_provider_that_is_not_built_in_is_absent() -> None:
    assert check_providers(["CPUExecutionProvider"], True, opener())[1] == Check(
        "cuda", "absent", "this onnxruntime was built without CUDAExecutionProvider"
    )


def no_screen() -> None:
    raise DisplayError("there is no display")


@pytest.mark.parametrize(
    ("build", "ask", "state"),
    [
        ("  GUI:   NONE\n", print, "absent"),
        ("", print, "absent"),
        ("  GUI:   QT5\n", no_screen, "absent"),
        ("  GUI:   QT5\n", print, "ok"),
    ],
)
def test_display(build: str, ask: Callable[[], None], state: str) -> None:
    assert check_display(build, ask, "opencv-python-headless").state == state


def test_codecs_and_cameras() -> None:
    codecs = [("mp4v", ".mp4"), ("avc1", ".mp4")]
    assert check_codecs(lambda codec, _: codec == "mp4v", "opencv-python", codecs) == Check(
        "video", "ok", "mp4v (.mp4)"
    )
    assert check_codecs(lambda *_: False, "opencv-python", codecs).cure.endswith(" opencv-python")
    assert check_cameras({1: "640x480"}.get).found == "camera 1: 640x480"
    assert check_cameras(nowhere).state == "absent"


def test_a_clip_is_really_written_and_read() -> None:
    assert writes_clip("MJPG", ".avi")


def test_section_puts_the_cure_under_its_finding() -> None:
    checks = [
        Check("numpy", "ok", "2.4"),
        Check("video", "broken", "no codec at all works here", "pip install x\npip check"),
    ]
    assert section("Parts", checks, columns=32) == [
        "",
        "Parts",
        "  ok      numpy  2.4",
        "  BROKEN  video  no codec at all",
        "                 works here",
        "                 pip install x",
        "                 pip check",
    ]


def test_an_import_that_fails_is_told_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "left_behind").mkdir()
    (tmp_path / "no_libgl.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    good = Check("opencv-python", "ok", "5.0")
    assert check_import("json", "loads", good) == []
    (damaged,) = check_import("left_behind", "InferenceSession", good)
    assert damaged.found == "left_behind has no InferenceSession: its files are damaged"
    assert damaged.cure.endswith("-m pip install --force-reinstall --no-deps opencv-python")
    (broken,) = check_import("no_libgl", "imdecode", good)
    assert broken.found == "libGL.so.1: cannot open shared object file"
    system, headless = broken.cure.splitlines()
    assert system == "apt install libgl1"
    assert "uninstall -y opencv-python && " in headless
    assert "install opencv-python-headless" in headless
    double = Check("a + b", "broken", "both", "the repair")
    assert check_import("left_behind", "x", double)[0].cure == "the repair"
    absent = Check("opencv-python", "broken", "not installed", "the install")
    assert check_import("no_such_module", "x", absent) == [
        Check("import no_such_module", "broken", "not installed", "the install")
    ]


def test_broken_findings_are_exit_1(tombola: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [("Parts", [Check("a", "ok", "1"), Check("b", "absent", "none")])]
    monkeypatch.setattr("tombola.cli.doctor.checkup.checkup", lambda: iter(groups))
    good = tombola("doctor")
    assert (good.exit_code, good.stdout) == (
        0,
        "\nParts\n  ok      a  1\n  absent  b  none\n\nNothing is broken.\n",
    )
    groups.append(("More", [Check("c", "broken", "bad", "pip install c")]))
    bad = tombola("doctor")
    assert bad.exit_code == 1
    assert bad.stdout.endswith(
        "pip install c\n\n1 broken: run the commands above, then `tombola doctor` again.\n"
    )


@pytest.mark.usefixtures("place")
def test_the_round_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, make_classifier: Callable[..., bytes]
) -> None:
    """Tests run where Tombola works: all that is installed is whole, and the models that ship answer."""
    Path("model.onnx").rename("voc-detector.onnx")
    pixel_bgr_u8 = np.array([[[19, 29, 49]]], np.uint8)
    probe = Probe(cv2.imencode(".png", pixel_bgr_u8)[1].tobytes(), {"probabilities": [0.5, 0.3, 0.2]})
    Path("fashion-mnist-classifier.onnx").write_bytes(make_classifier(probes=(probe,)))
    png = cv2.imencode(".png", pixel_bgr_u8)[1].tobytes()
    said = Probe(
        png,
        {"tokens": [[3, 4, 0]], "scores": [-0.25], "attention": [[[1, 0]], [[0.25, 0.75]], [[0.5, 0.5]]]},
        {"beam_size": 1},
    )
    Path("fashion-mnist-generator.onnx").write_bytes(plain_generator())
    Path("flickr8k-captioner.onnx").write_bytes(toy_captioner(probes=(said,)))
    monkeypatch.setattr("tombola.runtime.models.__path__", ["."])
    found = dict(checkup())
    assert list(found) == ["Versions", "Installed once", "Devices", "Models that ship", "Live"]
    assert found["Devices"][0] == Check("cpu", "ok", "a session on it runs")
    assert found["Models that ship"] == [
        Check("detector", "ok", "voc-detector.onnx answers as it did when it was made"),
        Check("classifier", "ok", "fashion-mnist-classifier.onnx answers as it did when it was made"),
        Check("generator", "ok", "fashion-mnist-generator.onnx answers as it did when it was made"),
        Check("captioner", "ok", "flickr8k-captioner.onnx answers as it did when it was made"),
    ]
    assert {check.state for check in found["Versions"] + found["Installed once"]} <= {"ok", "absent"}


@pytest.mark.usefixtures("place")
def test_a_missing_or_wrong_model_is_found(
    monkeypatch: pytest.MonkeyPatch, model_bytes: Callable[..., bytes], probe: Callable[..., object]
) -> None:
    monkeypatch.setattr("tombola.runtime.models.__path__", ["."])
    missing = dict(checkup())["Models that ship"]
    assert [check.state for check in missing] == ["broken"] * 4
    Path("voc-detector.onnx").write_bytes(model_bytes(probes=(probe(shift_px=2),)))
    wrong, *_ = dict(checkup())["Models that ship"]
    assert (wrong.state, wrong.found) == (
        "broken",
        "voc-detector.onnx answers differently from when it was made",
    )


def test_groups_that_need_what_is_broken_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cv2", None)  # makes `import cv2` fail
    found = dict(checkup())
    assert list(found) == ["Versions", "Installed once", "Devices"]
    assert [check.name for check in found["Installed once"] if check.state == "broken"] == ["import cv2"]


def test_a_camera_that_is_not_there_opens_not() -> None:
    assert camera_size(63) is None
