import torch

from tombola.train.networks.detect.anchors import Anchors
from tombola.train.networks.detect.sampling import IGNORED, NEGATIVE, POSITIVE, Target, match, sample


def target(boxes: list[list[float]], difficult: list[bool] | None = None) -> Target:
    return Target(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.arange(len(boxes)),
        torch.tensor(difficult or [False] * len(boxes), dtype=torch.bool),
        seed=1,
    )


def test_anchors_of_one_cell_by_hand() -> None:
    anchors = Anchors((16.0,), (1.0, 4.0), stride=8)(torch.zeros(1, 3, 1, 2))
    # Ratio is height / width and the area stays 256.
    assert anchors.tolist() == [
        [-4.0, -4.0, 12.0, 12.0],
        [0.0, -12.0, 8.0, 20.0],
        [4.0, -4.0, 20.0, 12.0],
        [8.0, -12.0, 16.0, 20.0],
    ]


def test_anchors_run_over_columns_first() -> None:
    anchors = Anchors((8.0,), (1.0,), stride=4)(torch.zeros(1, 1, 3, 5)).view(3, 5, 4)
    centres = (anchors[..., :2] + anchors[..., 2:]) / 2
    assert centres[2, 4].tolist() == [18.0, 10.0]


def test_match_positive_negative_ignored() -> None:
    candidates = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [50, 50, 60, 60]])
    state, closest = match(
        candidates, target([[0, 0, 10, 10]]), positive_iou=0.7, negative_iou=0.3, rescue=False
    )
    assert state.tolist() == [POSITIVE, IGNORED, NEGATIVE]
    assert closest[0] == 0


def test_rescue_gives_every_object_its_best_candidate() -> None:
    candidates = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 24], [30, 0, 40, 10]])
    objects = target([[0, 0, 10, 10], [30, 0, 40, 22]])
    state, closest = match(candidates, objects, positive_iou=0.7, negative_iou=0.5, rescue=True)
    assert state.tolist() == [POSITIVE, NEGATIVE, POSITIVE]
    assert closest.tolist()[2] == 1


def test_rescue_takes_no_candidate_from_an_object_it_fits_better() -> None:
    # The only candidate near the second object overlaps the first almost entirely.
    candidates = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    state, closest = match(
        candidates, target([[0, 0, 10, 10.5], [0, 0, 10, 2]]), positive_iou=0.7, negative_iou=0.3, rescue=True
    )
    assert state.tolist() == [POSITIVE, NEGATIVE]
    assert closest[0] == 0


def test_a_difficult_object_is_neither_learned_nor_background() -> None:
    candidates = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    state, _ = match(
        candidates, target([[0, 0, 10, 10]], [True]), positive_iou=0.5, negative_iou=0.5, rescue=True
    )
    assert state.tolist() == [IGNORED, NEGATIVE]


def test_a_picture_without_objects_is_all_background() -> None:
    state, closest = match(torch.rand(7, 4), target([]), positive_iou=0.5, negative_iou=0.5, rescue=True)
    assert state.tolist() == [NEGATIVE] * 7
    assert closest.tolist() == [0] * 7


def test_sample_is_balanced_filled_up_and_repeatable() -> None:
    state = torch.tensor([POSITIVE] * 30 + [NEGATIVE] * 100 + [IGNORED] * 50)
    positives, negatives = sample(state, count=40, positive_share=0.5, seed=9)
    assert len(positives) == 20
    assert len(negatives) == 20
    assert (state[positives] == POSITIVE).all()
    assert (state[negatives] == NEGATIVE).all()
    assert len(set(positives.tolist())) == 20
    again = sample(state, count=40, positive_share=0.5, seed=9)
    assert torch.equal(positives, again[0])
    assert not torch.equal(positives, sample(state, count=40, positive_share=0.5, seed=10)[0])
    few_positives, many_negatives = sample(state[28:], count=40, positive_share=0.5, seed=9)
    assert (len(few_positives), len(many_negatives)) == (2, 38)
