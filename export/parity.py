"""Parity: does the file answer as the network does?"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from tombola.errors import ExportError
from tombola.export.probes import drawn_picture
from tombola.runtime.contract import SIGNATURES

BOX_TOLERANCE_PX = 0.1
SCORE_TOLERANCE = 1e-3
LOW_SCORE = 0.05
# A few roundings of float32, tried so many times.
_NUDGE, _NUDGES = 1e-6, 3
SIZES_HW = (
    (64, 64),
    (240, 322),
    (321, 173),
    (1080, 1920),
    (2160, 3840),
    (37, 501),
    (17, 33),
    (1, 1),
)
_SIGNATURE = SIGNATURES["detect"]

Answer = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Comparison:
    """How far the file's answer to one picture is from PyTorch's.

    detections: how many PyTorch found. score_threshold: what both were given.
    """

    picture: str
    size_hw: tuple[int, int]
    score_threshold: float
    detections: int
    box_difference_px: float
    score_difference: float


def check_parity(
    module: nn.Module,
    session: ort.InferenceSession,
    defaults: Mapping[str, float | int],
    photos: Sequence[NDArray[np.uint8]] = (),
) -> tuple[tuple[Comparison, ...], int]:
    """Compare over all SIZES_HW, over `photos` (image_rgb_u8 [h, w, 3]), and on a blank picture.

    At the default thresholds, and at a low score threshold where hundreds of boxes meet. Returns the
    comparisons, and how many more were left out because PyTorch contradicts itself there: scores equal but
    for rounding have no order.
    Raises ExportError for a difference, or if half of all had to be left out.
    """
    pictures = [("drawn", drawn_picture(size_hw)) for size_hw in SIZES_HW]
    pictures += [("photo", np.ascontiguousarray(photo)) for photo in photos]
    pictures += [("blank", np.full((120, 160, 3), 127, np.uint8))]
    low = {**defaults, "score_threshold": LOW_SCORE, "max_detections": 1000}
    comparisons: list[Comparison] = []
    undecided = 0
    for name, image in pictures:
        for options in (defaults, low):
            try:
                comparisons.append(compare(module, session, name, image, options))
            except ExportError:
                if not _is_undecided(module, image, options):
                    raise
                undecided += 1
    if undecided >= len(comparisons):
        raise ExportError(
            f"{undecided} of {undecided + len(comparisons)} comparisons with PyTorch say nothing, because "
            "the network's scores are equal but for rounding; train it before you export it."
        )
    return tuple(comparisons), undecided


def compare(
    module: nn.Module,
    session: ort.InferenceSession,
    picture: str,
    image_rgb_u8: NDArray[np.uint8],
    options: Mapping[str, float | int],
) -> Comparison:
    """Run both on one picture with the optional inputs `options`.

    Raises ExportError if counts or labels differ, boxes by more than 0.1 px of the picture, or scores by
    1e-3.
    """
    found = answer(session, image_rgb_u8, options)
    wanted = _torch_answer(module, image_rgb_u8, options)
    height, width = image_rgb_u8.shape[:2]
    difference = _difference(found, wanted)
    if difference is None or not _is_small(difference):
        apart = (
            f"finds {_count(found)}, PyTorch {_count(wanted)}"
            if difference is None
            else f"is {difference[0]:.3g} px and {difference[1]:.3g} of score away from PyTorch "
            f"(allowed are {BOX_TOLERANCE_PX} px and {SCORE_TOLERANCE})"
        )
        raise ExportError(
            f"on the {picture} picture of {width}x{height} px, at {_text(options)}, the file {apart}; "
            "nothing was written. Please report it with the recipe."
        )
    return Comparison(
        picture, (height, width), float(options["score_threshold"]), len(wanted["labels"]), *difference
    )


def answer(
    session: ort.InferenceSession, image_rgb_u8: NDArray[np.uint8], options: Mapping[str, float | int]
) -> Answer:
    """What the file says to one picture: output name -> array."""
    names = [spec.name for spec in _SIGNATURE.outputs]
    values = session.run(names, {"image": image_rgb_u8, **_feeds(options)})
    return dict(zip(names, values, strict=True))


def summary(comparisons: Sequence[Comparison], undecided: int) -> dict[str, Any]:
    """The figures for the card: largest differences, and how much they rest on."""
    return {
        "reference": f"PyTorch {torch.__version__.partition('+')[0]}",
        "onnxruntime": ort.__version__,
        "sizes_hw": [list(size_hw) for size_hw in SIZES_HW],
        "pictures": len({(one.picture, one.size_hw) for one in comparisons}),
        "comparisons": len(comparisons),
        "undecided": undecided,
        "boxes": sum(one.detections for one in comparisons),
        "box_difference_px": max(one.box_difference_px for one in comparisons),
        "score_difference": max(one.score_difference for one in comparisons),
    }


def _feeds(options: Mapping[str, float | int]) -> dict[str, NDArray[Any]]:
    return {spec.name: np.array(options[spec.name], spec.dtype) for spec in _SIGNATURE.optional_inputs}


def _torch_answer(
    module: nn.Module, image_rgb_u8: NDArray[np.uint8], options: Mapping[str, float | int]
) -> Answer:
    with torch.no_grad():
        values = module(torch.from_numpy(image_rgb_u8), *map(torch.from_numpy, _feeds(options).values()))
    return {spec.name: value.numpy() for spec, value in zip(_SIGNATURE.outputs, values, strict=True)}


def _difference(found: Answer, wanted: Answer) -> tuple[float, float] | None:
    """Largest difference of boxes (px) and scores between answers paired box by box; None if they cannot be
    paired.

    Not by rank: of two scores that are equal but for rounding, either may come first.
    """
    if sorted(found["labels"].tolist()) != sorted(wanted["labels"].tolist()):
        return None
    unused = np.ones(len(found["labels"]), bool)
    order = []
    for box, label in zip(wanted["boxes"], wanted["labels"], strict=True):
        distance = np.abs(found["boxes"] - box).max(axis=1)
        distance[~unused | (found["labels"] != label)] = np.inf
        order.append(int(distance.argmin()))
        unused[order[-1]] = False
    boxes = np.abs(found["boxes"][order] - wanted["boxes"])
    scores = np.abs(found["scores"][order] - wanted["scores"])
    return float(boxes.max(initial=0.0)), float(scores.max(initial=0.0))


def _is_small(difference: tuple[float, float]) -> bool:
    """False for NaN too."""
    return difference[0] <= BOX_TOLERANCE_PX and difference[1] <= SCORE_TOLERANCE


def _is_undecided(
    module: nn.Module, image_rgb_u8: NDArray[np.uint8], options: Mapping[str, float | int]
) -> bool:
    """Whether PyTorch's own answer changes when all weights move by a few roundings."""
    wanted = _torch_answer(module, image_rgb_u8, options)
    for seed in range(_NUDGES):
        nudged = copy.deepcopy(module)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in nudged.parameters():
                weight.mul_(1 + _NUDGE * torch.randn(weight.shape, generator=generator))
        difference = _difference(_torch_answer(nudged, image_rgb_u8, options), wanted)
        if difference is None or not _is_small(difference):
            return True
    return False


def _count(one: Answer) -> str:
    return f"{len(one['labels'])} objects with labels {sorted(set(one['labels'].tolist()))}"


def _text(options: Mapping[str, float | int]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in options.items())
