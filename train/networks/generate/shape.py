"""The pictures of a generator, and labels as numbers beside its latents."""

from typing import NamedTuple

import torch
from torch import Tensor

from tombola.errors import RecipeError


class PictureShape(NamedTuple):
    """Channels (1 or 3), height and width in pixels."""

    channels: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """How many numbers a picture holds."""
        return self.channels * self.height * self.width

    def shrunk(self, halvings: int) -> tuple[int, int]:
        """Height and width after so many halvings; RecipeError if they do not come out even."""
        factor = 2**halvings
        if self.height % factor or self.width % factor:
            raise RecipeError(
                f"network.widths halve the sides {halvings} times, and picture.size = "
                f"{[self.height, self.width]} is no multiple of {factor}; change one of them"
            )
        return self.height // factor, self.width // factor


def with_labels(vectors: Tensor, labels: Tensor | None, n_labels: int) -> Tensor:
    """float [n, d] and int64 [n] -> [n, d + n_labels]: a 1 at the place of the label; without labels the
    vectors alone."""
    if labels is None:
        return vectors
    places = torch.arange(n_labels, device=labels.device)
    return torch.cat([vectors, (labels[:, None] == places).to(vectors.dtype)], dim=1)
