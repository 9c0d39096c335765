"""The modules that are exported for captions: a picture or a clip of bytes goes in, words as tokens come out.

They are not for training, nor to be called for answers: the runtime does that.
"""

from typing import cast

import torch
from torch import Tensor, nn

from tombola.export.tasks.canvases import canvases
from tombola.train.networks.caption.captioner import Captioner
from tombola.train.networks.caption.search import END, Options, search
from tombola.train.networks.inputs.classifier_input import ClassifierInput

# tokens int64 [captions, length], END behind the last word; scores float32 [captions], best first; attention
# float32 [length, rows, columns] of the best caption.
Said = tuple[Tensor, Tensor, Tensor]


class CaptionPicture(nn.Module):
    """Picture to its most probable captions."""

    def __init__(self, network: Captioner, picture_input: ClassifierInput) -> None:
        super().__init__()
        self.picture_input = picture_input
        self.network = network

    def forward(
        self, image: Tensor, beam_size: Tensor, max_length: Tensor, length_power: Tensor, no_repeat: Tensor
    ) -> Said:
        """image: uint8 [H, W, 3], RGB; the options as `Options` has them."""
        maps = self.network.encoder(self.picture_input(image))
        options = Options(beam_size, max_length, length_power, no_repeat)
        return _say(self.network, maps, options, maps.shape[2:])


class CaptionClip(nn.Module):
    """Frames of a clip to its most probable captions. It looks at `n_frames` of them, chosen as the runtime
    and the training choose; the attention has a row for each of these, of one column."""

    def __init__(self, network: Captioner, picture_input: ClassifierInput, n_frames: int) -> None:
        super().__init__()
        self.picture_input = picture_input
        self.network = network
        self.n_frames = n_frames

    def forward(
        self, frames: Tensor, beam_size: Tensor, max_length: Tensor, length_power: Tensor, no_repeat: Tensor
    ) -> Said:
        """frames: uint8 [n, H, W, 3], RGB; the options as `Options` has them."""
        middles = 2 * torch.arange(self.n_frames) + 1
        places = (middles * frames.shape[0]).div(2 * self.n_frames, rounding_mode="floor")
        seen = canvases(self.picture_input, frames.index_select(0, places))
        maps = self.network.encoder(self.picture_input.normalise(seen.permute(0, 3, 1, 2)))
        options = Options(beam_size, max_length, length_power, no_repeat)
        return _say(self.network, maps[None], options, (self.n_frames, 1))


def _say(network: Captioner, maps: Tensor, options: Options, cells_hw: tuple[int, ...]) -> Said:
    """maps: of one picture, or one clip, as the network's `remember` has them; cells_hw: rows and columns of
    what is looked at."""
    memory, decoder = network.remember(maps), network.decoder
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
    length = torch.minimum((tokens != END).sum(1).max() + 1, options.max_length).item()
    torch._check(length >= 1)
    torch._check(length <= tokens.shape[1])
    return tokens[:, :length], scores, weights[:length].unflatten(1, cells_hw)
