"""Parity, probes and the card, with a session and a module that answer what the test tells them to."""

from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tombola.errors import ExportError
from tombola.export.card import make_card
from tombola.export.graph.size import PartSize
from tombola.export.parity.parity import Comparison, Parity, check_parity, compare, rounding
from tombola.export.parity.probes import make_probe
from tombola.export.parity.question import PROBE_SIDE_PX, SIZES_HW, PictureAsking, Question, drawn_picture
from tombola.export.tasks.detect.asking import DetectAsking
from tombola.runtime.tasks.difference import Difference

OPTIONS: dict[str, float | int] = {"score_threshold": 0.5, "iou_threshold": 0.5, "max_detections": 10}
Rows = list[tuple[list[float], float, int]]
TWO: Rows = [([0, 0, 10, 10], 0.9, 1), ([20, 20, 40, 60], 0.8, 0)]


class Said(nn.Module):
    """A network that always answers the same."""

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, *_: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes, scores, labels = arrays(self.rows)
        return torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(labels)


class Session:
    """As much of an InferenceSession as parity uses."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def get_outputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in ("boxes", "scores", "labels")]

    def run(self, names: list[str], feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        assert names == ["boxes", "scores", "labels"]
        assert {name: (value.dtype.name, value.ndim) for name, value in feeds.items()} == {
            "image": ("uint8", 3),
            "score_threshold": ("float32", 0),
            "iou_threshold": ("float32", 0),
            "max_detections": ("int64", 0),
        }
        return list(arrays(self.rows))


def arrays(rows: Rows) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    return (
        np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([label for _, _, label in rows], np.int64),
    )


def between(file: Rows, network: Rows) -> Comparison:
    image = np.zeros((30, 50, 3), np.uint8)
    session = cast(ort.InferenceSession, Session(file))
    return compare(Said(network), session, "detect", Question("test", {"image": image}), OPTIONS)


def apart(box_px: float, score: float) -> tuple[Difference, Difference]:
    return (
        Difference("box_difference_px", "boxes", box_px, 0.1, "px"),
        Difference("score_difference", "scores", score, 1e-3),
    )


def test_no_answers_agree() -> None:
    assert between([], []) == Comparison("test", (30, 50), OPTIONS, 0, apart(0.0, 0.0))


def test_differences_are_the_largest_ones() -> None:
    file: Rows = [([0, 0.03, 10, 10], 0.9, 1), ([20, 20, 40, 60.0625], 0.8005, 0)]
    found = between(file, TWO)
    assert found.count == 2
    boxes, scores = found.differences
    assert boxes.value == pytest.approx(0.0625)
    assert scores.value == pytest.approx(0.0005, rel=1e-3)


def test_equal_scores_may_change_places() -> None:
    tied: Rows = [([0, 0, 10, 10], 0.8, 1), ([20, 20, 40, 60], 0.8, 1)]
    assert between(tied[::-1], tied).differences == apart(0.0, 0.0)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (TWO[:1], r"the file gives 1 boxes with labels \[1\], PyTorch 2 boxes with labels \[0, 1\]"),
        ([*TWO, TWO[0]], "gives 3 boxes"),
        ([TWO[0], (TWO[1][0], 0.8, 2)], r"labels \[1, 2\], PyTorch 2 boxes with labels \[0, 1\]"),
        (
            [([0, 0, 10, 10.2], 0.9, 1), TWO[1]],
            r"apart: boxes by 0.2 px \(allowed is 0.1 px\), scores by 0 ",
        ),
        ([(TWO[0][0], 0.902, 1), TWO[1]], r"scores by 0.002 \(allowed is 0.001\)"),
        ([(TWO[0][0], float("nan"), 1), TWO[1]], "scores by nan"),
        ([TWO[0], TWO[0]], r"with labels \[1\]"),
    ],
)
def test_a_difference_is_an_error_that_says_where(file: Rows, message: str) -> None:
    with pytest.raises(ExportError, match=message) as caught:
        between(file, TWO)
    assert "on the test picture of 50x30 px, at score_threshold 0.5" in str(caught.value)


def test_one_box_is_not_paired_twice() -> None:
    near: Rows = [([0, 0, 10, 10], 0.9, 1), ([0, 0, 10, 10.05], 0.9, 1)]
    with pytest.raises(ExportError, match="file and PyTorch are apart"):
        between([near[0], ([0, 0, 10, 11], 0.9, 1)], near)


class Ranks(nn.Module):
    """Two boxes, of which the one with the larger score is given; `gap` is what lies between them."""

    def __init__(self, gap: float) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.tensor([0.8, 0.8 + gap]))

    def forward(self, *_: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        best = self.scores.argmax()
        boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 60]])
        return boxes[best][None], self.scores[best][None].detach(), torch.zeros(1, dtype=torch.int64)


def parity_of(network: nn.Module, file: Rows, photos: Any = (), sizes_hw: Any = ()) -> Parity:
    session = cast(ort.InferenceSession, Session(file))
    asking = DetectAsking()
    return check_parity(network, session, "detect", asking, OPTIONS, asking.questions(photos, sizes_hw))


def test_parity_is_checked_on_every_picture() -> None:
    parity = parity_of(Said(TWO), TWO, photos=[np.zeros((5, 6, 3), np.uint8)], sizes_hw=[(28, 28), (64, 64)])
    assert (len(parity.comparisons), parity.undecided) == (2 * (len(SIZES_HW) + 3), 0)
    assert {(one.question, one.size_hw) for one in parity.comparisons} == {
        *(("drawn", size_hw) for size_hw in SIZES_HW),
        ("drawn", (28, 28)),
        ("photo", (5, 6)),
        ("blank", (120, 160)),
    }


def test_a_choice_that_rounding_makes_is_no_difference_of_the_file() -> None:
    other: Rows = [([0, 0, 10, 10], 0.8, 0)]
    with pytest.raises(ExportError, match=r"18 of 18 comparisons with PyTorch say nothing.*train it"):
        parity_of(Ranks(gap=1e-7), other)


def test_a_choice_that_the_network_makes_is_one() -> None:
    other: Rows = [([0, 0, 10, 10], 0.8, 0)]
    with pytest.raises(ExportError, match=r"on the drawn picture of 64x64 px.* PyTorch are apart"):
        parity_of(Ranks(gap=1e-4), other)


def test_summary_is_of_all_comparisons() -> None:
    first = Comparison("a", (4, 5), {"score_threshold": 0.5}, 2, apart(0.01, 0.0))
    second = Comparison("a", (4, 5), {"score_threshold": 0.05}, 30, apart(0.02, 1e-5))
    figures = Parity("boxes", (first, second), undecided=1).summary()
    assert (figures["comparisons"], figures["undecided"]) == (2, 1)
    assert (figures["pictures"], figures["sizes_hw"], figures["boxes"]) == (1, [[4, 5]], 32)
    assert (figures["box_difference_px"], figures["score_difference"]) == (0.02, 1e-5)
    assert figures["reference"].startswith("PyTorch 2.")


class Guessed(nn.Module):
    """A classifier that always answers the same, as file and as network."""

    def __init__(self, probabilities: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(probabilities))

    def forward(self, _: Tensor) -> tuple[Tensor]:
        return (self.weight.detach(),)

    def get_outputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="probabilities")]

    def run(self, names: list[str], feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        assert (names, list(feeds)) == (["probabilities"], ["image"])
        return [self.weight.detach().numpy()]


def guesses(file: list[float], network: list[float]) -> Parity:
    session = cast(ort.InferenceSession, Guessed(file))
    asking = PictureAsking()
    return check_parity(Guessed(network), session, "classify", asking, {}, asking.questions((), ()))


def test_probabilities_are_compared_one_by_one_on_every_picture() -> None:
    parity = guesses([0.25, 0.75], [0.25005, 0.74995])
    assert len(parity.comparisons) == len(SIZES_HW) + 1
    figures = parity.summary()
    assert figures["probability_difference"] == pytest.approx(5e-5, rel=1e-2)
    assert figures["probabilities"] == 2 * (len(SIZES_HW) + 1)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ([0.2498, 0.7502], r"of 64x64 px, the file and PyTorch are apart: probabilities by 0.0002 \(allowed"),
        ([0.25, float("nan")], "probabilities by nan"),
        (
            [0.25, 0.5, 0.25],
            r"gives probabilities of the shape \[3\], PyTorch probabilities of the shape \[2\]",
        ),
    ],
)
def test_another_probability_is_a_difference_of_the_file(file: list[float], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        guesses(file, [0.25, 0.75])


@pytest.mark.parametrize("size_hw", [(1, 1), (37, 501), (1080, 1920)])
def test_drawn_pictures_repeat(size_hw: tuple[int, int]) -> None:
    image = drawn_picture(size_hw, seed=3)
    assert image.shape == (*size_hw, 3)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, drawn_picture(size_hw, seed=3))
    if size_hw != (1, 1):
        assert image.std() > 10


def test_photos_become_small_probes() -> None:
    photos = [drawn_picture((600, 900)), drawn_picture((20, 30)), drawn_picture((1, 4000))]
    small = [one.feeds["image"] for one in PictureAsking().probes(photos)]
    assert [one.shape for one in small] == [(128, PROBE_SIDE_PX, 3), (20, 30, 3), (1, PROBE_SIDE_PX, 3)]
    np.testing.assert_array_equal(small[1], photos[1])


def test_a_probe_holds_the_picture_exactly() -> None:
    image = drawn_picture((40, 60))
    boxes, scores, labels = arrays(TWO)
    answer = {"boxes": boxes, "scores": scores, "labels": labels}
    probe = make_probe({"image": image}, {"score_threshold": 0.0}, answer)
    decoded = cv2.imdecode(np.frombuffer(probe.png, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    np.testing.assert_array_equal(decoded[..., ::-1], image)
    assert probe.inputs == {"score_threshold": 0.0}
    assert probe.expected["boxes"] == [[0, 0, 10, 10], [20, 20, 40, 60]]
    assert probe.expected["labels"] == [1, 0]


def test_rounding_is_measured_between_two_networks_and_tipped_choices_are_counted() -> None:
    asking = DetectAsking()
    questions = asking.questions((), ())
    moved: Rows = [([0, 0.5, 10, 10], 0.9, 1), ([20, 20, 40, 60], 0.75, 0)]
    lost = rounding(Said(moved), Said(TWO), "detect", asking, OPTIONS, questions)
    assert [one.value for one in lost.worst] == [0.5, pytest.approx(0.05)]
    # 2160 × 3840 and 1080 × 1920 are left out, the blank picture is there: each at two thresholds.
    assert (len(lost.comparisons), lost.undecided, lost.count) == (14, 0, 28)
    tipped = rounding(Said(TWO[:1]), Said(TWO), "detect", asking, OPTIONS, questions)
    assert (len(tipped.comparisons), tipped.undecided, tipped.worst) == (0, 14, ())


def test_the_card_counts_and_keeps_facts() -> None:
    parts = [PartSize("backbone", 90, 10, 360), PartSize("roi_head", 10, 10, 20)]
    card = make_card(
        {"licence": "Apache-2.0", "lineage": {"levels": []}},
        parity={"boxes": 3},
        rounding=None,
        sizes=parts,
        input_size_hw=(240, 320),
    )
    assert card["licence"] == "Apache-2.0"
    assert card["input_size_hw"] == [240, 320]
    assert card["sizes"] == {
        "weights": 100, "sparsity": 0.2, "stored_as": "float32", "nbytes": {"backbone": 360, "roi_head": 20}
    }  # fmt: skip
    assert card["created"].endswith("+00:00")
