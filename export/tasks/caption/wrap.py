"""The module that is exported for captions: a picture of bytes goes in, words as tokens come out.

It is not for training, nor to be called for answers: the runtime does that.
"""

from typing import cast

import torch
from torch import Tensor, nn

from tombola.train.networks.caption.captioner import Captioner
from tombola.train.networks.caption.search import END, Options, search
from tombola.train.networks.inputs.classifier_input import ClassifierInput


class CaptionPicture(nn.Module):
    """Picture to its most probable captions."""

    def __init__(self, network: Captioner, picture_input: ClassifierInput) -> None:
        super().__init__()
        self.picture_input = picture_input
        self.network = network

    def forward(
        self, image: Tensor, beam_size: Tensor, max_length: Tensor, length_power: Tensor, no_repeat: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """image: uint8 [H, W, 3], RGB; the options as `Options` has them.

        Returns tokens int64 [captions, length], END behind the last word; scores float32 [captions], best
        first; and attention float32 [length, rows, columns] of the best caption.
        """
        options = Options(beam_size, max_length, length_power, no_repeat)
        maps = self.network.encoder(self.picture_input(image))
        memory, decoder = self.network.remember(maps), self.network.decoder
        captions, longest = (cast(int, one.item()) for one in options[:2])  # symbols, while it is exported
        torch._check(captions >= 1)
        torch._check(longest >= 1)
        found = search(
            decoder.step,
            memory,
            decoder.start(memory, captions, longest),
            options,
            memory.cells.shape[1],
            decoder.words.out_features,
        )
        tokens, scores, weights = (part[0] for part in found)
        is_caption = scores > -torch.inf
        tokens, scores = tokens[is_caption], scores[is_caption]
        # The longest caption and an end behind it, where there is room for one.
        length = torch.minimum((tokens != END).sum(1).max() + 1, max_length).item()
        torch._check(length >= 1)
        torch._check(length <= tokens.shape[1])
        return tokens[:, :length], scores, weights[:length].unflatten(1, maps.shape[2:])
