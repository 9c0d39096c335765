"""What a decoder is told was said before each word: the true words, or some of its own."""

import torch
from torch import Tensor, nn

from tombola.train.data.captions.vocabulary import END, START
from tombola.train.networks.caption.search import BANNED
from tombola.train.tasks.caption.batches import NOTHING


def words_before(tokens: Tensor) -> Tensor:
    """Targets int64 [P, N, T] -> what stands before each of them: START, then all but the last."""
    before = torch.full_like(tokens, START)
    before[..., 1:] = tokens[..., :-1]
    return before.masked_fill(before == NOTHING, END)


def partly_own(network: nn.Module, maps: Tensor, before: Tensor, share: float) -> Tensor:
    """Words before int64 [P, N, T], of which a share, drawn by chance, are drawn from what the network says
    there; all of them at once and after true words (Mihaylova & Martins 2019). START stays."""
    with torch.no_grad():
        logits, _ = network(maps, before[..., :-1])
    logits[..., [END, *BANNED]] = -torch.inf  # what no word is said after
    own = logits.float().softmax(-1).flatten(0, 2).multinomial(1).view_as(before[..., 1:])
    is_own = torch.rand(own.shape, device=own.device) < share
    return torch.cat([before[..., :1], torch.where(is_own, own, before[..., 1:])], -1)
