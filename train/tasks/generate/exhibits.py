"""What a generator makes, as pictures: samples, and pictures beside what is left of them."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tombola.train.networks.generate.generators import Encoding, Generator, reconstruct
from tombola.train.tasks.task import Exhibit

ACROSS = 10
ENLARGED = 2  # a pixel of 28×28 is too small for the eye


def generate_exhibits(
    network: Generator, classes: Sequence[str], seed: int, some: tuple[Tensor, Tensor | None] | None
) -> list[Exhibit]:
    """A sheet of samples; if there are `some` pictures [B, c, h, w] of 0..1 with labels, these and their
    reconstructions."""
    device = next(network.parameters()).device
    latents, labels = sample_latents(network, ACROSS * ACROSS, seed)
    told = None if labels is None else torch.from_numpy(labels).to(device)
    made = to_pictures(network.decode(torch.from_numpy(latents).to(device), told))
    of_class = f" A row has pictures of one class: {', '.join(classes[:ACROSS])}." if network.n_labels else ""
    exhibits = [
        Exhibit(
            "Samples",
            f"Made from random numbers, none chosen by hand.{of_class} Blurred ones tell of an average, "
            "alike ones of a collapse.",
            sheet_png(made),
        )
    ]
    if some is not None and isinstance(network, Encoding):
        images, labels_of = some[0][:40], None if some[1] is None else some[1][:40]
        again = to_pictures(reconstruct(network, images, labels_of))
        pairs = [row for pair in zip(_rows(to_pictures(images)), _rows(again), strict=True) for row in pair]
        exhibits.append(
            Exhibit(
                "Reconstructions",
                "Validation pictures, and below each what the decoder makes of its latents.",
                sheet_png(np.concatenate(pairs)),
            )
        )
    return exhibits


def sample_row(network: Generator, seed: int) -> bytes:
    """PNG bytes of ACROSS pictures of the same random numbers each time."""
    return sheet_png(to_pictures(samples(network, ACROSS, seed)))


def samples(network: Generator, count: int, seed: int) -> Tensor:
    """Pictures float [count, c, h, w] of 0..1, of all classes in turn."""
    device = next(network.parameters()).device
    latents, _ = sample_latents(network, count, seed)
    labels = torch.arange(count, device=device) % network.n_labels if network.n_labels else None
    return network.decode(torch.from_numpy(latents).to(device), labels)


def nearest_exhibit(made: Tensor, training: Iterable[Tensor], real: Tensor | None) -> Exhibit:
    """Samples beside the training pictures that are nearest to them, all float [n, c, h, w] of 0..1; training
    ones come in parts. real: pictures that were not trained on, for what a distance means."""
    asked = made if real is None else torch.cat([made, real])
    least, nearest = asked.new_full((len(asked),), torch.inf), torch.zeros_like(asked)
    for part in training:
        distances = torch.cdist(asked.flatten(1), part.flatten(1)) / part[0].numel() ** 0.5
        values, places = distances.min(1)
        nearer = values < least
        nearest[nearer], least[nearer] = part[places[nearer]], values[nearer]
    of_made, of_real = 255 * least[: len(made)].median(), 255 * least[len(made) :].median()
    against = "" if real is None else f", of a validation picture {of_real:.1f}"
    pairs = zip(_rows(to_pictures(made)), _rows(to_pictures(nearest[: len(made)])), strict=True)
    return Exhibit(
        "Nearest training pictures",
        "Samples, and below each the training picture that is nearest to it: is it a copy? The distance is "
        f"{of_made:.1f} grey levels a pixel in the middle{against}; much nearer ones are copies.",
        sheet_png(np.concatenate([row for pair in pairs for row in pair])),
    )


def sample_latents(
    network: Generator, count: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """Normal latents float32 [count, d] and, where labels are wanted, int64 [count]: a class a row of the
    sheet."""
    latents = np.random.default_rng(seed).standard_normal((count, network.latent_size), np.float32)
    labels = np.arange(count) // ACROSS % network.n_labels if network.n_labels else None
    return latents, labels


def to_pictures(levels: Tensor) -> NDArray[np.uint8]:
    """Levels of 0..1, float [n, c, h, w] -> uint8 [n, h, w, c]."""
    return levels.mul(255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def sheet_png(images_u8: NDArray[np.uint8], across: int = ACROSS) -> bytes:
    """PNG bytes of pictures uint8 [n, h, w, c] in rows of `across`."""
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in _rows(images_u8, across)])
    larger = cv2.resize(sheet, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_NEAREST)
    bgr = larger if larger.ndim == 2 or larger.shape[2] == 1 else cv2.cvtColor(larger, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", bgr)[1].tobytes()


def _rows(images_u8: NDArray[np.uint8], across: int = ACROSS) -> list[NDArray[np.uint8]]:
    """The pictures in full rows; a last one that is not full is filled with black."""
    lacking = -len(images_u8) % across
    filled = np.pad(images_u8, ((0, lacking), (0, 0), (0, 0), (0, 0)))
    return list(filled.reshape(-1, across, *images_u8.shape[1:]))
