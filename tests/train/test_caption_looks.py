"""Changed versions of pictures whose maps a frozen encoder computes once."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.toy_captions import write_toy
from tombola.errors import RecipeError
from tombola.train.tasks.caption.task import CaptionTask
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import open_task

FROZEN = ['start.freeze="encoder"', "data.valid=[]", "augment.flip=0.5", "augment.crop=0.5"]


class Counted(nn.Module):
    """An encoder that counts its pictures."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.seen = encoder, 0

    def forward(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return self.encoder(images)  # type: ignore[no-any-return]


def train(task: CaptionTask, epochs: int) -> tuple[list[Tensor], list[int]]:
    """The maps of every batch, and how many pictures the encoder saw in each epoch."""
    network, examples = task.build_network(), task.examples()
    encoder = Counted(network.get_submodule("encoder"))
    network.encoder = encoder
    task.prepare(network, Moment(0, 0, 10))
    maps, seen = [], []
    for epoch in range(epochs):
        before = encoder.seen
        for requests in task.plan_epoch(epoch):
            batch = task.collate([examples[one] for one in requests])
            found = task._maps(network, batch)
            fresh = CaptionTask(task.recipe).examples()
            whole = task.collate([fresh[one] for one in requests])
            expected = encoder.encoder(task.picture_input.normalise(whole.images_rgb_u8))
            assert torch.allclose(found, expected, rtol=1e-2, atol=1e-2)  # kept in float16
            maps.append(found)
        seen.append(encoder.seen - before)
    return maps, seen


@pytest.mark.parametrize("looks", [1, 2])
def test_maps_of_each_look_are_computed_once(tmp_path: Path, looks: int) -> None:
    task = open_task(write_toy(tmp_path / "toy"), [*FROZEN, f"data.looks={looks}"])
    assert isinstance(task, CaptionTask)
    _, seen = train(task, 9)
    assert sum(seen) <= 18 * looks
    assert sum(seen) > 18 * (looks - 1)
    assert sum(seen[-2:]) <= 2


def test_without_a_number_each_look_is_new(tmp_path: Path) -> None:
    task = open_task(write_toy(tmp_path / "toy"), FROZEN)
    assert isinstance(task, CaptionTask)
    _, seen = train(task, 2)
    assert seen == [18, 18]


def test_an_unchanged_picture_is_not_taken_for_a_look(tmp_path: Path) -> None:
    task = open_task(write_toy(tmp_path / "toy"), [*FROZEN, "data.looks=1"])
    assert isinstance(task, CaptionTask)
    network = task.build_network()
    requests = task.plan_epoch(0)[0]
    changed, plain = (
        task._maps(network, task.collate([examples[one] for one in requests]))
        for examples in (task.examples(), task.examples(augmented=False))
    )
    assert not torch.allclose(changed, plain, atol=1e-2)


def test_looks_want_a_frozen_encoder(tmp_path: Path) -> None:
    task = open_task(write_toy(tmp_path / "toy"), ["data.looks=2", "augment.flip=0.5"])
    with pytest.raises(RecipeError, match=r"data\.looks keeps the maps of a frozen encoder"):
        task.build_network()
