"""Fast R-CNN: the detector with proposals from a file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tombola.errors import DataError
from tombola.train.data.augment.augment import AugmentSettings
from tombola.train.evaluate import Named, evaluate_run
from tombola.train.regions.proposals_file import write_proposals
from tombola.train.regions.sliding_window import sliding_windows
from tombola.train.tasks.detect.batches import DetectExamples, Request
from tombola.train.tasks.detect.task import DetectTask, answers, proposals_path
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import load_recipe
from tombola.train.train import train_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")

FROM_FILE = ("network.proposals=file",)


@pytest.fixture
def searched(toy_recipe: Path, tmp_path: Path) -> tuple[str, ...]:
    """Overrides for a Fast R-CNN; windows stand for a search."""
    overrides = (*FROM_FILE, f"data.proposals={tmp_path / 'proposals'}")
    recipe = load_recipe(toy_recipe, overrides)
    (tmp_path / "proposals").mkdir()
    windows = sliding_windows(48, 64)
    for split in ("train", "valid", "test"):
        write_proposals(proposals_path(recipe, split), {f"{n:03d}.png": windows for n in range(12)})
    return overrides


def test_without_a_search_the_cure_is_named(toy_recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train.npz are not there; run `tombola data propose`"):
        train_recipe(
            toy_recipe, tmp_path / "run", overrides=(*FROM_FILE, f"data.proposals={tmp_path}"), device="cpu"
        )


def test_it_trains_and_is_scored(
    toy_recipe: Path, toy_data: Path, tmp_path: Path, searched: tuple[str, ...]
) -> None:
    run = train_recipe(toy_recipe, tmp_path / "run", overrides=searched, device="cpu", quiet=True)
    columns = (run.path / "metrics.csv").read_text().splitlines()[0]
    assert "loss_class" in columns
    assert "loss_objectness" not in columns
    scores = evaluate_run(run.path, device="cpu")
    assert 0 <= scores.voc07.mean_average_precision <= 1  # type: ignore[union-attr]
    named = Named(toy_data / "pictures", toy_data / "boxes.json")
    with pytest.raises(DataError, match=r"000.png has no proposals"):
        evaluate_run(run.path, named, device="cpu")


@pytest.mark.slow
def test_it_learns_the_toy(toy_recipe: Path, searched: tuple[str, ...]) -> None:
    recipe = load_recipe(toy_recipe, searched)
    task = DetectTask(recipe)
    network = task.build_network()
    task.prepare(network, Moment(0, 0, 1))
    examples = task.examples(augmented=False)
    batch = task.collate([examples[request] for request in task.plan_epoch(0)[0]])
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    seen = []
    for _ in range(30):
        losses = task.losses(network, batch, Moment(0, 0, 1))
        assert set(losses) == {"class", "box"}
        loss = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    assert seen[-1] < 0.8 * seen[0]
    with torch.inference_mode():
        found = answers(network.eval(), recipe, task.train_data)
    assert max(len(one.scores) for one in found) > 0


def test_proposals_go_with_their_picture(toy_recipe: Path, searched: tuple[str, ...]) -> None:
    """The true boxes, given as proposals too, are changed in the same way."""
    task = DetectTask(load_recipe(toy_recipe, searched))
    records = tuple(replace(one, proposals_xyxy=one.boxes_xyxy) for one in task.train_data.records)
    settings = AugmentSettings(mosaic=0.5, mixup=0.5)
    examples = DetectExamples(replace(task.train_data, records=records), settings, (127.0, 127.0, 127.0))
    assert all(len(one.boxes_xyxy) == 2 for one in records)
    for seed in range(20):
        _, target = examples[Request(0, (64, 64), seed, True)]
        assert target.proposals_xyxy is not None
        seen = {tuple(box) for box in target.boxes_xyxy.tolist()}
        assert seen == {tuple(box) for box in target.proposals_xyxy.tolist()}
        assert (target.labels >= 0).all()
        assert not target.difficult.any()


def test_detect_judges_the_proposals_it_is_given(toy_recipe: Path, searched: tuple[str, ...]) -> None:
    task = DetectTask(load_recipe(toy_recipe, searched))
    network = task.build_network().eval()
    image = torch.zeros(1, 3, 64, 96)
    thresholds = torch.tensor(0.0), torch.tensor(1.0), torch.tensor(1000)
    with torch.inference_mode():
        boxes, _, labels = network.detect(image, (64, 96), *thresholds, torch.tensor([[5.0, 5, 40, 50]]))
        none, _, _ = network.detect(image, (64, 96), *thresholds, torch.zeros(0, 4))
    assert len(boxes) == len(labels) == 2  # one for each class
    assert np.allclose(boxes, [[5, 5, 40, 50]], atol=2)  # its offsets are nearly nothing before training
    assert none.shape == (0, 4)
    with pytest.raises(AssertionError, match="must be given proposals"):
        network.detect(image, (64, 96), *thresholds)
