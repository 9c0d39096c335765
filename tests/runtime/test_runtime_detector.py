"""The toy's answers are known: 60x80 pixels, first box [0 0 20 15], second [40 30 80 54]."""

import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tombola.errors import ModelError, PictureError
from tombola.runtime.load import load
from tombola.runtime.tasks.detect.answer import Detections
from tombola.runtime.tasks.detect.model import Detector

Image = NDArray[np.uint8]
MakeToy = Callable[..., onnx.ModelProto]


def same(one: Detections, other: Detections) -> bool:
    return (
        np.array_equal(one.boxes_xyxy, other.boxes_xyxy)
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.labels, other.labels)
        and (one.names, one.size_hw) == (other.names, other.size_hw)
    )


def test_known_answer(toy: Detector, photo: Image) -> None:
    found = toy(photo)  # its top left pixel is red 250
    np.testing.assert_allclose(found.boxes_xyxy, [[0, 0, 20, 15], [40, 30, 80, 54]], rtol=1e-6)
    np.testing.assert_allclose(found.scores, [250 / 255, 0.8], rtol=1e-6)
    assert found.labels.tolist() == [0, 1]
    assert found.names == ("cat", "dog")
    assert found.size_hw == (60, 80)
    dtypes = [found.boxes_xyxy.dtype.name, found.scores.dtype.name, found.labels.dtype.name]
    assert dtypes == ["float32", "float32", "int64"]


def test_options_reach_the_graph(toy: Detector, photo: Image) -> None:
    assert toy(photo, score_threshold=0.9).names == ("cat",)
    assert toy(photo, score_threshold=0.3).names == ("cat", "dog", "bird")
    assert toy(photo, iou_threshold=0.8).names == ("cat", "dog", "dog")
    assert toy(photo, max_detections=1).names == ("cat",)
    assert toy(photo, score_threshold=0.0, iou_threshold=1.0, max_detections=3).names == ("cat", "dog", "dog")
    assert len(toy(photo, score_threshold=1.0)) == 0


def test_numpy_numbers_are_taken_as_options(toy: Detector, photo: Image) -> None:
    options: dict[str, Any] = {"score_threshold": np.float32(0.9), "max_detections": np.int32(5)}
    assert toy(photo, **options).names == ("cat",)


def test_left_out_options_are_the_stored_defaults(toy: Detector, photo: Image) -> None:
    defaults: Any = dict(toy.contract.defaults)
    assert same(toy(photo), toy(photo, **defaults))


@pytest.mark.parametrize(
    "option",
    [{"score_threshold": 1.5}, {"iou_threshold": -1}, {"max_detections": 0}, {"max_detections": 2.5}],
)
def test_options_out_of_range(toy: Detector, photo: Image, option: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=next(iter(option))):
        toy(photo, **option)


def test_nothing_found(toy: Detector) -> None:
    found = toy(np.zeros((7, 5, 3), np.uint8), score_threshold=0.9)
    assert len(found) == 0
    assert found.boxes_xyxy.shape == (0, 4)
    assert list(found) == []


def test_list_of_sources_gives_list_of_answers(toy: Detector, photo: Image, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), photo[:, :, ::-1])
    answers = toy([photo, path, path.read_bytes()])
    assert len(answers) == 3
    assert all(same(answer, toy(photo)) for answer in answers)
    assert toy([]) == []


def test_bgr_array_gives_the_answer_of_rgb(toy: Detector, photo: Image) -> None:
    assert same(toy(photo[:, :, ::-1], bgr=True), toy(photo))
    assert not same(toy(photo[:, :, ::-1]), toy(photo))


def test_boxes_of_a_turned_photo_are_in_upright_pixels(toy: Detector, photo: Image, tmp_path: Path) -> None:
    """Stored on its side (EXIF 6): path, bytes and the upright array agree."""
    _, encoded = cv2.imencode(".jpg", np.rot90(photo, 1)[:, :, ::-1])
    tag = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + b"\0\0\0\0"
    data = encoded.tobytes()
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(tag) + 2) + tag + data[2:]
    path = tmp_path / "turned.jpg"
    path.write_bytes(data)
    found = toy(path)
    assert same(found, toy(data))
    assert found.size_hw == (60, 80)
    np.testing.assert_allclose(found.boxes_xyxy, toy(photo).boxes_xyxy)
    assert abs(found.scores[0] - 250 / 255) < 0.02


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300))
def test_any_size(toy: Detector, height: int, width: int) -> None:
    found = toy(np.full((height, width, 3), 255, np.uint8))
    expected = np.array([[0, 0, 0.25, 0.25], [0.5, 0.5, 1, 0.9]]) * [width, height, width, height]
    np.testing.assert_allclose(found.boxes_xyxy, expected, rtol=1e-6)


def test_calls_from_several_threads_give_equal_answers(toy: Detector) -> None:
    pictures = [np.full((40 + index, 60, 3), 130 + index, np.uint8) for index in range(24)]
    alone = [toy(picture) for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(toy, pictures * 4))
    assert all(same(one, other) for one, other in zip(alone * 4, together, strict=True))


def test_bad_picture_is_named(toy: Detector, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"gone\.jpg"):
        toy(tmp_path / "gone.jpg")


def test_pixel_limit_reaches_the_reader(toy: Detector, photo: Image) -> None:
    _, encoded = cv2.imencode(".png", photo)
    with pytest.raises(PictureError, match="max_pixels"):
        toy(encoded.tobytes(), max_pixels=100)


def test_answer_that_is_not_finite_is_an_error(make_toy: MakeToy, toy_text: str) -> None:
    """0 / 0 in the box arithmetic: no stored weight is NaN, so only the answer shows it."""
    text = toy_text.replace(
        "scale = Gather", "zeros = Sub (sides, sides)\n  bad = Div (zeros, zeros)\n  scale = Gather"
    )
    text = text.replace(
        "all_boxes = Mul (shares, scale)", "nan = Gather (bad, width_height)\n  all_boxes = Mul (shares, nan)"
    )
    detector = load(make_toy(text).SerializeToString(), device="cpu")
    with pytest.raises(ModelError, match="not finite"):
        detector(np.full((8, 8, 3), 255, np.uint8))


def test_class_outside_of_the_labels_is_an_error(make_toy: MakeToy, toy_text: str) -> None:
    model = make_toy(toy_text.replace("classes = {0, 1, 1, 2}", "classes = {0, 7, 7, 7}"))
    detector = load(model.SerializeToString(), device="cpu")
    with pytest.raises(ModelError, match="class index outside of its 3 labels"):
        detector(np.full((8, 8, 3), 255, np.uint8))


def test_answer_of_another_shape_is_an_error(make_toy: MakeToy, toy_text: str) -> None:
    text = toy_text.replace("scores = Gather (all_scores, index)", "scores = Identity (all_scores)")
    text = text.replace("float[n] scores", "float[m] scores")
    detector = load(make_toy(text).SerializeToString(), device="cpu")
    with pytest.raises(ModelError, match=r"not \[n, 4\], \[n\] and \[n\] but"):
        detector(np.full((8, 8, 3), 255, np.uint8))


def test_failure_inside_the_network_is_a_model_error(make_toy: MakeToy, toy_text: str) -> None:
    text = toy_text.replace("corner_at = {0, 0, 0}", "corner_at = {5, 0, 0}")
    detector = load(make_toy(text).SerializeToString(), device="cpu")
    with pytest.raises(ModelError, match="failed while running on cpu"):
        detector(np.zeros((2, 2, 3), np.uint8))


def test_description(toy: Detector) -> None:
    assert repr(toy) == "<Detector of 3 classes on cpu>"
    assert toy.labels == ("cat", "dog", "bird")
    assert toy.contract.card["licence"] == "Apache-2.0"
