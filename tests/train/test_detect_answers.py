"""What a detector's task tells the doctor, on the toy data set."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.tasks.detect.batches import Batch
from tombola.train.tasks.detect.task import DetectTask
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import load_recipe

START = Moment(0, 0, 1)


@pytest.fixture
def task(toy_recipe: Path) -> DetectTask:
    return DetectTask(load_recipe(toy_recipe))


def first_batch(task: DetectTask, *, augmented: bool) -> Batch:
    examples = task.examples(augmented=augmented)
    return task.collate([examples[request] for request in task.plan_epoch(0)[0]])


def test_widths_and_name_are_the_recipes(task: DetectTask) -> None:
    assert task.name == "toy"
    assert task.answer_widths(task.build_network()) == (2, 2)


def test_a_fresh_network_has_the_losses_that_are_expected(task: DetectTask) -> None:
    expected = task.expected_losses()
    assert expected == {"objectness": pytest.approx(math.log(2)), "class": pytest.approx(math.log(3))}
    network = task.build_network()
    task.prepare(network, START)
    losses = task.losses(network, first_batch(task, augmented=True), START)
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=0.1)


def test_examples_as_they_are_do_not_depend_on_chance(task: DetectTask) -> None:
    request = task.plan_epoch(0)[0][0]
    other = replace(request, seed=request.seed + 1)
    plain, changed = task.examples(augmented=False), task.examples()
    np.testing.assert_array_equal(plain[request][0], plain[other][0])
    assert (changed[request][0] != changed[other][0]).any()


def test_mismatched_gives_every_picture_the_boxes_of_another(task: DetectTask) -> None:
    batch = first_batch(task, augmented=False)
    wrong = task.mismatched(batch)
    assert wrong.images_u8 is batch.images_u8
    seeds, others = ([target.seed for target in one.targets] for one in (batch, wrong))
    assert sorted(seeds) == sorted(others)
    assert all(mine != other for mine, other in zip(seeds, others, strict=True))


def test_right_share_counts_objects_found_under_their_own_name(
    task: DetectTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = first_batch(task, augmented=False)
    answers = iter(batch.targets)

    def detect(_: FasterRCNN, *__: object) -> tuple[Tensor, Tensor, Tensor]:
        """The true boxes of a red and a blue object, the first shifted a little, the second misnamed."""
        target = next(answers)
        assert target.labels.tolist() == [0, 1]
        shift = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]])
        return target.boxes_xyxy + shift, torch.ones(2), torch.tensor([0, 0])

    monkeypatch.setattr(FasterRCNN, "detect", detect)
    assert task.right_share(task.build_network(), batch) == 0.5


def test_a_fresh_network_finds_nothing(task: DetectTask) -> None:
    with torch.inference_mode():
        assert task.right_share(task.build_network().eval(), first_batch(task, augmented=False)) == 0
