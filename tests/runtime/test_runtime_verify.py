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
    assert (probe.size_hw, probe.expected, probe.found, probe.problem) == ((8, 10), "1", "1", "")
    assert probe.differences["px"] < 1e-5
    assert probe.differences["score"] < 1e-6


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ({"boxes": [], "scores": [], "labels": []}, "0 boxes expected, 1 found"),
        (
            {"boxes": [[5, 4, 10, 7.2]] * 2, "scores": [0.8, 0.7], "labels": [1, 1]},
            "2 boxes expected, 1 found",
        ),
        ({"boxes": [[5, 4, 10, 7.2]], "scores": [0.8], "labels": [2]}, r"labels [2] expected, [1] found"),
        (
            {"boxes": [[5, 4, 10.11, 7.2]], "scores": [0.8], "labels": [1]},
            "a box is 0.11 px off, 0.1 allowed",
        ),
        (
            {"boxes": [[5, 4, 10, 7.2]], "scores": [0.802], "labels": [1]},
            "a score is 0.002 off, 0.001 allowed",
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
    assert report.tolerances == pytest.approx({"px": 0.6, "score": 0.006})


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


def test_damaged_file_is_an_error(toy_bytes: bytes) -> None:
    with pytest.raises(ModelError, match="damaged or cut off"):
        verify(toy_bytes[:1000])
