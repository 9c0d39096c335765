"""The toy answers with the shares of its top left pixel: (49, 29, 19), each plus one, is 0.5, 0.3, 0.2."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import assert_type

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import tombola
from tombola.errors import ModelError, PictureError
from tombola.runtime.clips.video import Video
from tombola.runtime.contract.contract import Probe
from tombola.runtime.load import inspect_model, load
from tombola.runtime.moving.video import annotate_video
from tombola.runtime.session.bench import bench
from tombola.runtime.tasks.caption.model import Captioner
from tombola.runtime.tasks.classify.answer import Classification
from tombola.runtime.tasks.classify.model import Classifier
from tombola.runtime.tasks.detect.model import Detector
from tombola.runtime.tasks.generate.model import Generator
from tombola.runtime.verify import VerifyReport, verify

MakeClassifier = Callable[..., bytes]
IMAGE = np.full((6, 9, 3), (49, 29, 19), np.uint8)
SHARES = [0.5, 0.3, 0.2]


@pytest.fixture(scope="session")
def colours(make_classifier: MakeClassifier) -> Classifier:
    return load(make_classifier(), device="cpu", task="classify")


def png(image_rgb_u8: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", image_rgb_u8[:, :, ::-1])[1].tobytes()


def test_known_answer(colours: Classifier) -> None:
    found = colours(IMAGE)
    np.testing.assert_allclose(found.probabilities, SHARES, rtol=1e-6)
    assert found.probabilities.dtype == np.float32
    assert (found.name, found.labels, found.size_hw) == ("red", ("red", "green", "blue"), (6, 9))
    assert repr(colours) == "<Classifier of 3 classes on cpu>"
    assert (colours.contract.task, colours.threads >= 1) == ("classify", True)


def test_path_bytes_and_array_give_the_same(colours: Classifier, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(png(IMAGE))
    for source in (path, str(path), path.read_bytes(), IMAGE):
        found = colours(source)
        np.testing.assert_allclose(found.probabilities, SHARES, rtol=1e-6)
        assert found.size_hw == (6, 9)


def test_lists_bgr_and_grey(colours: Classifier) -> None:
    answers = colours([IMAGE, png(IMAGE)])
    assert [found.name for found in answers] == ["red", "red"]
    assert colours([]) == []
    np.testing.assert_allclose(colours(IMAGE, bgr=True).probabilities, SHARES[::-1], rtol=1e-6)
    np.testing.assert_allclose(colours(IMAGE[:, :, 0]).probabilities, [1 / 3] * 3, rtol=1e-6)


def test_bad_pictures_are_named(colours: Classifier, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="raise max_pixels"):
        colours(png(IMAGE), max_pixels=53)
    with pytest.raises(PictureError, match=r"gone\.png: no such file"):
        colours([IMAGE, tmp_path / "gone.png"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Add (corner_float, one)", "Sub (corner_float, corner_float)"), "not finite"),
        (("Div (counts, total)", "Identity (counts)"), "their sum 100; a softmax is missing"),
        (("Div (counts, total)", "Sub (corner_float, total)"), "not probabilities: the least is -"),
        (("Div (counts, total)", "Concat <axis = 0> (counts, one)"), r"not \[3\].*but \[4\]"),
    ],
)
def test_answers_that_are_no_probabilities(
    make_classifier: MakeClassifier, classifier_text: str, change: tuple[str, str], message: str
) -> None:
    assert change[0] in classifier_text
    model = load(make_classifier(text=classifier_text.replace(*change)), device="cpu", task="classify")
    with pytest.raises(ModelError, match=message):
        model(IMAGE)


def test_fixed_count_of_classes_must_be_that_of_the_labels(
    make_classifier: MakeClassifier, classifier_text: str
) -> None:
    text = classifier_text.replace("float[classes]", "float[3]")
    assert load(make_classifier(text=text), device="cpu", task="classify")(IMAGE).name == "red"
    with pytest.raises(ModelError, match=r"2 labels but answers probabilities float32 \[3\]"):
        inspect_model(make_classifier(text=text, labels=("red", "green")))


def test_the_file_says_what_it_is(make_classifier: MakeClassifier, toy_bytes: bytes) -> None:
    """A type checker knows what `task` gives, and that it is one of all without it."""
    assert_type(load(toy_bytes, task="detect"), Detector)
    assert_type(tombola.load(make_classifier(), task="classify"), Classifier)
    assert_type(load(make_classifier(), "cpu"), Detector | Classifier | Generator | Captioner)
    assert_type(load(make_classifier(), "cpu", task="classify")(IMAGE), Classification)
    assert isinstance(load(make_classifier(), "cpu"), tombola.Classifier)
    assert isinstance(load(make_classifier(), "cpu")(IMAGE), tombola.Classification)
    assert isinstance(load(toy_bytes, "cpu"), tombola.Detector)


def test_another_task_than_the_one_asked_for(
    make_classifier: MakeClassifier, toy_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "colours.onnx"
    path.write_bytes(make_classifier())
    with pytest.raises(
        ModelError, match=r"colours\.onnx: its task is classify, not detect.*tombola classify"
    ):
        load(path, task="detect")
    with pytest.raises(ModelError, match=r"toy\.onnx: its task is detect, not classify.*tombola detect"):
        load(toy_path, task="classify")
    with pytest.raises(ModelError, match="task: 'paint' is not one of detect, classify"):
        load(toy_path, task="paint")  # type: ignore[call-overload]


def test_nothing_heavy_is_imported(make_classifier: MakeClassifier, tmp_path: Path) -> None:
    path = tmp_path / "colours.onnx"
    path.write_bytes(make_classifier())
    code = (
        "import sys, numpy, tombola; found = tombola.load(sys.argv[1])(numpy.zeros((4, 4, 3), numpy.uint8)); "
        "found.draw(numpy.zeros((64, 64, 3), numpy.uint8)); "
        "print([m for m in ('torch', 'onnx', 'tombola.train', 'tombola.export') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def verify_with(make_classifier: MakeClassifier) -> Callable[..., VerifyReport]:
    """verify_with(probabilities, card): the report of the toy whose probe expects that."""

    def run(probabilities: list[float], card: dict[str, float] | None = None) -> VerifyReport:
        probe = Probe(png(IMAGE), {"probabilities": probabilities})
        return verify(make_classifier(probes=(probe,), card=card), device="cpu")

    return run


def test_good_copy(verify_with: Callable[..., VerifyReport]) -> None:
    report = verify_with([0.5, 0.3, 0.2])
    assert report.ok
    (probe,) = report.probes
    assert (probe.question, probe.expected, probe.found, probe.problem) == (
        "9×6",
        "red 0.500",
        "red 0.500",
        "",
    )
    assert [(one.things, one.allowed) for one in probe.differences] == [("probabilities", 1e-3)]
    assert probe.differences[0].value < 1e-6
    assert (report.count, report.counted) == (3, "probabilities")


def test_difference_is_told_and_the_card_may_widen_it(verify_with: Callable[..., VerifyReport]) -> None:
    report = verify_with([0.502, 0.2985, 0.1995])
    assert not report.ok
    assert report.probes[0].problem == "off: probabilities by 0.002 (allowed is 0.001)"
    assert verify_with([0.502, 0.2985, 0.1995], {"probe_tolerance": 3}).ok
    assert verify_with([0.5009, 0.2996, 0.1995]).ok


def test_bench_of_the_toy(make_classifier: MakeClassifier, tmp_path: Path) -> None:
    path = tmp_path / "colours.onnx"
    path.write_bytes(make_classifier())
    (result,) = bench([path], lambda _: {"image": IMAGE}, device="cpu", threads=1, rounds=1)
    assert 0 < result.latency_p50_ms <= result.latency_p95_ms
    assert result.outside_share == 1.0  # the toy has no network in it


def test_video_with_the_name_in_its_corner(colours: Classifier, tmp_path: Path) -> None:
    clip, target = tmp_path / "clip.avi", tmp_path / "drawn.avi"
    writer = cv2.VideoWriter(str(clip), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(3):
        writer.write(np.full((120, 160, 3), (20, 20, 220), np.uint8))  # BGR: red
    writer.release()
    names: list[str] = []
    annotate_video(clip, target, colours, on_frame=lambda _index, _count, found: names.append(found.name))
    assert names == ["red"] * 3
    with Video(target) as video:
        frame = next(iter(video)).astype(int)
    assert frame[110, 150, 0] - frame[110, 150, 1] > 150  # red, as it was
    assert abs(frame[0, 0] - frame[110, 150]).max() > 60  # the tag
