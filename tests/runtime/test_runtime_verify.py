"""Probes: what counts as the same answer, and what is said where it is another."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from tombola.errors import ModelError
from tombola.runtime.contract.contract import Contract, Probe
from tombola.runtime.verify import VerifyReport, verify

MakeToy = Callable[..., onnx.ModelProto]
MakeContract = Callable[..., Contract]


@pytest.fixture
def verify_with(make_toy: MakeToy, make_contract: MakeContract) -> Callable[..., VerifyReport]:
    """verify_with(expected, card): the report of a toy whose probe expects that."""

    def run(expected: dict[str, list[Any]], card: dict[str, Any] | None = None) -> VerifyReport:
        png = make_contract().probes[0].png
        contract = make_contract(probes=(Probe(png, expected),), card=card or {})
        return verify(make_toy(metadata=contract.to_metadata()).SerializeToString(), device="cpu")

    return run


def test_good_copy(toy_bytes: bytes) -> None:
    report = verify(toy_bytes, device="cpu")
    assert report.ok
    assert report.device == "cpu"
    (probe,) = report.probes
    assert (probe.question, probe.expected, probe.found, probe.problem) == ("10×8", "1", "1", "")
    boxes, scores = probe.differences
    assert (boxes.things, boxes.unit, scores.things) == ("boxes", "px", "scores")
    assert boxes.value < 1e-5
    assert scores.value < 1e-6
    assert (report.count, report.counted) == (1, "boxes")


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        (
            {"boxes": [], "scores": [], "labels": []},
            "0 boxes with labels [] expected, 1 boxes with labels [1] found",
        ),
        (
            {"boxes": [[5, 4, 10, 7.2]] * 2, "scores": [0.8, 0.7], "labels": [1, 1]},
            "2 boxes with labels [1] expected, 1 boxes with labels [1] found",
        ),
        (
            {"boxes": [[5, 4, 10, 7.2]], "scores": [0.8], "labels": [2]},
            "1 boxes with labels [2] expected, 1 boxes with labels [1] found",
        ),
        (
            {"boxes": [[5, 4, 10.11, 7.2]], "scores": [0.8], "labels": [1]},
            "off: boxes by 0.11 px (allowed is 0.1 px)",
        ),
        (
            {"boxes": [[5, 4, 10, 7.2]], "scores": [0.802], "labels": [1]},
            "off: scores by 0.002 (allowed is 0.001)",
        ),
        ({"boxes": [[5, 4, 10.09, 7.2]], "scores": [0.8009], "labels": [1]}, ""),
    ],
)
def test_difference_is_told(
    verify_with: Callable[..., VerifyReport], expected: dict[str, list[Any]], problem: str
) -> None:
    report = verify_with(expected)
    assert report.probes[0].problem == problem
    assert report.ok == (problem == "")


def test_tolerance_of_the_card_widens_both(verify_with: Callable[..., VerifyReport]) -> None:
    expected = {"boxes": [[5, 4, 10.5, 7.2]], "scores": [0.805], "labels": [1]}
    assert not verify_with(expected).ok
    report = verify_with(expected, {"probe_tolerance": 6})
    assert report.ok
    assert [one.allowed for one in report.probes[0].differences] == pytest.approx([0.6, 0.006])


def test_order_of_nearly_equal_scores_does_not_matter(make_toy: MakeToy, make_contract: MakeContract) -> None:
    """The toy's boxes are expected in the other order: the same answer, were their scores a tie."""
    _, png = cv2.imencode(".png", np.full((8, 10, 3), 204, np.uint8))  # 204 / 255 = 0.8: the tie
    expected: dict[str, list[Any]] = {
        "boxes": [[5.0, 4.0, 10.0, 7.2], [0.0, 0.0, 2.5, 2.0]],
        "scores": [0.8, 0.8],
        "labels": [1, 0],
    }
    for order in ([0, 1], [1, 0]):
        shuffled = {key: [values[index] for index in order] for key, values in expected.items()}
        contract = make_contract(probes=(Probe(png.tobytes(), shuffled),))
        assert verify(make_toy(metadata=contract.to_metadata()).SerializeToString(), device="cpu").ok


def test_file_without_probes_is_not_called_good(make_toy: MakeToy, make_contract: MakeContract) -> None:
    model = make_toy(metadata=make_contract(probes=()).to_metadata())
    report = verify(model.SerializeToString(), device="cpu")
    assert report.probes == ()
    assert not report.ok


def test_probes_that_expect_nothing_prove_nothing(make_toy: MakeToy, make_contract: MakeContract) -> None:
    """No box in the answer and none expected: that is so of every ruined file too."""
    nothing: dict[str, list[Any]] = {"boxes": [], "scores": [], "labels": []}
    probe = Probe(make_contract().probes[0].png, nothing, {"score_threshold": 1.0})
    model = make_toy(metadata=make_contract(probes=(probe,)).to_metadata())
    report = verify(model.SerializeToString(), device="cpu")
    assert [one.problem for one in report.probes] == [""]
    assert report.count == 0
    assert not report.ok


def test_options_of_a_probe_are_fed(make_toy: MakeToy, make_contract: MakeContract) -> None:
    """The toy's four boxes on black score 0, 0.8, 0.75 (dropped by NMS unless 0.9 may overlap) and 0.4."""
    boxes = [[5.0, 4.0, 10.0, 7.2], [5.0, 4.0, 10.0, 6.4], [0.0, 4.0, 2.5, 6.0]]
    expected = {"boxes": boxes, "scores": [0.8, 0.75, 0.4], "labels": [1, 1, 2]}
    options = {"score_threshold": 0.0, "iou_threshold": 0.9}
    probe = Probe(make_contract().probes[0].png, expected, options)
    model = make_toy(metadata=make_contract(probes=(probe,)).to_metadata())
    report = verify(model.SerializeToString(), device="cpu")
    assert (report.ok, report.count) == (True, 3)


def test_an_answer_that_is_none_is_told(make_toy: MakeToy, toy_text: str) -> None:
    model = make_toy(toy_text.replace("classes = {0, 1, 1, 2}", "classes = {0, 7, 7, 7}"))
    (probe,) = verify(model.SerializeToString(), device="cpu").probes
    assert "class index outside of its 3 labels" in probe.problem


def test_damaged_file_is_an_error(toy_bytes: bytes) -> None:
    with pytest.raises(ModelError, match="damaged or cut off"):
        verify(toy_bytes[:1000])
