"""Scheduled sampling: some of the words before are the network's own."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import tombola.train.tasks.caption.task as caption_task
from tests.toy_captions import write_toy
from tombola.errors import RecipeError
from tombola.train.networks.caption.search import BANNED, END
from tombola.train.tasks.caption.task import CaptionTask
from tombola.train.tasks.caption.words_before import partly_own
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import open_task

START, OWN = 1, 7


class Stubborn(nn.Module):
    """Says OWN whatever was said, and what may not be said even rather."""

    def forward(self, maps: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        logits = torch.full((*tokens.shape, 9), -50.0)
        logits[..., OWN] = 50.0
        logits[..., [END, *BANNED]] = 100.0
        return logits, maps


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_words_before_is_the_networks_own(share: float) -> None:
    torch.manual_seed(0)
    before = torch.full((4, 5, 101), 3)
    before[..., 0] = START
    mixed = partly_own(Stubborn(), torch.zeros(()), before, share)
    assert (mixed[..., 0] == START).all()
    assert set(mixed[..., 1:].unique().tolist()) <= {3, OWN}
    assert (mixed[..., 1:] == OWN).float().mean().item() == pytest.approx(share, abs=0.03)
    assert (before[..., 1:] == 3).all()


def test_the_share_rises_and_is_one_processs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_toy(tmp_path / "toy")
    task = open_task(path, ["loss.own_words=0.5", "data.valid=[]"])
    assert isinstance(task, CaptionTask)
    examples, requests = task.examples(), task.plan_epoch(0)[0][:2]
    batch, network = task.collate([examples[one] for one in requests]), task.build_network()
    shares = []

    def remember(_network: nn.Module, _maps: Tensor, before: Tensor, share: float) -> Tensor:
        shares.append(share)
        return before

    monkeypatch.setattr(caption_task, "partly_own", remember)
    for step in (0, 5, 10):
        task.losses(network, batch, Moment(step, 0, 10))
    assert shares == [0.25, 0.5]
    with pytest.raises(RecipeError, match=r"loss\.own_words would draw other words in each process"):
        task.check_shares()
