"""Scheduled sampling: some of the words before are the network's own."""

import pytest
import torch
from torch import Tensor, nn

from tombola.train.networks.caption.search import BANNED, END
from tombola.train.tasks.caption.task import partly_own

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
