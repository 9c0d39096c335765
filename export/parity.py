"""Parity: does the file answer as the network does?"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from tombola.errors import ExportError
from tombola.export.difference import Answer, Difference, Options, Yardstick
from tombola.export.probes import drawn_picture
from tombola.runtime.contract.contract import SIGNATURES

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


@dataclass(frozen=True)
class Comparison:
    """How far the file's answer to one picture is from PyTorch's.

    options: what both were given in the optional inputs. count: how many things PyTorch's answer holds.
    """

    picture: str
    size_hw: tuple[int, int]
    options: Options
    count: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Parity:
    """All comparisons of one file.

    counted: what `count` of a comparison counts. undecided: how many more comparisons were left out because
    PyTorch contradicts itself there: scores equal but for rounding have no order.
    """

    counted: str
    comparisons: tuple[Comparison, ...]
    undecided: int = 0

    @property
    def worst(self) -> tuple[Difference, ...]:
        """The largest difference of each kind."""
        kinds = zip(*(one.differences for one in self.comparisons), strict=True)
        return tuple(replace(kind[0], value=max(difference.value for difference in kind)) for kind in kinds)

    def summary(self) -> dict[str, Any]:
        """The figures for the card: largest differences, and how much they rest on."""
        return {
            "reference": f"PyTorch {torch.__version__.partition('+')[0]}",
            "onnxruntime": ort.__version__,
            "sizes_hw": [list(size_hw) for size_hw in dict.fromkeys(one.size_hw for one in self.comparisons)],
            "pictures": len({(one.picture, one.size_hw) for one in self.comparisons}),
            "comparisons": len(self.comparisons),
            "undecided": self.undecided,
            self.counted: sum(one.count for one in self.comparisons),
            **{difference.key: difference.value for difference in self.worst},
        }


def check_parity(
    module: nn.Module,
    session: ort.InferenceSession,
    yardstick: Yardstick,
    defaults: Options,
    photos: Sequence[NDArray[np.uint8]] = (),
    more_sizes_hw: Sequence[tuple[int, int]] = (),
) -> Parity:
    """Compare over drawn pictures of SIZES_HW and `more_sizes_hw`, over `photos` (image_rgb_u8 [h, w, 3]),
    and on a blank picture.

    Raises ExportError for a difference, or if half of all comparisons had to be left out.
    """
    pictures = [("drawn", drawn_picture(size_hw)) for size_hw in dict.fromkeys((*SIZES_HW, *more_sizes_hw))]
    pictures += [("photo", np.ascontiguousarray(photo)) for photo in photos]
    pictures += [("blank", np.full((120, 160, 3), 127, np.uint8))]
    comparisons: list[Comparison] = []
    undecided = 0
    for name, image in pictures:
        for options in yardstick.options(defaults):
            try:
                comparisons.append(compare(module, session, yardstick, name, image, options))
            except ExportError:
                if not (yardstick.breaks_ties and _is_undecided(module, yardstick, image, options)):
                    raise
                undecided += 1
    if undecided >= len(comparisons):
        raise ExportError(
            f"{undecided} of {undecided + len(comparisons)} comparisons with PyTorch say nothing, because "
            "the network's scores are equal but for rounding; train it before you export it."
        )
    return Parity(yardstick.counted, tuple(comparisons), undecided)


def compare(
    module: nn.Module,
    session: ort.InferenceSession,
    yardstick: Yardstick,
    picture: str,
    image_rgb_u8: NDArray[np.uint8],
    options: Options,
) -> Comparison:
    """Run both on one picture with the optional inputs `options`.

    Raises ExportError if the answers cannot be compared, or differ by more than the yardstick allows.
    """
    found = answer(session, yardstick.task, image_rgb_u8, options)
    wanted = _torch_answer(module, yardstick.task, image_rgb_u8, options)
    height, width = image_rgb_u8.shape[:2]
    differences = yardstick.differences(found, wanted)
    if differences is None or not all(one.is_small for one in differences):
        apart = (
            f"the file gives {yardstick.describe(found)}, PyTorch {yardstick.describe(wanted)}"
            if differences is None
            else "the file and PyTorch are apart: " + ", ".join(map(_text, differences))
        )
        at = ", ".join(f"{name} {value:g}" for name, value in options.items())
        raise ExportError(
            f"on the {picture} picture of {width}x{height} px{', at ' if at else ''}{at}, {apart}; "
            "nothing was written. Please report it with the recipe."
        )
    return Comparison(picture, (height, width), dict(options), yardstick.count(wanted), differences)


def answer(
    session: ort.InferenceSession, task: str, image_rgb_u8: NDArray[np.uint8], options: Options
) -> Answer:
    """What the file says to one picture: output name -> array."""
    names = [spec.name for spec in SIGNATURES[task].outputs]
    values = session.run(names, {"image": image_rgb_u8, **_feeds(task, options)})
    return dict(zip(names, values, strict=True))


def _torch_answer(module: nn.Module, task: str, image_rgb_u8: NDArray[np.uint8], options: Options) -> Answer:
    fed = map(torch.from_numpy, _feeds(task, options).values())
    with torch.no_grad():
        values = module(torch.from_numpy(image_rgb_u8), *fed)
    specs = SIGNATURES[task].outputs
    return {spec.name: value.numpy() for spec, value in zip(specs, values, strict=True)}


def _feeds(task: str, options: Options) -> dict[str, NDArray[Any]]:
    return {spec.name: np.array(options[spec.name], spec.dtype) for spec in SIGNATURES[task].optional_inputs}


def _is_undecided(
    module: nn.Module, yardstick: Yardstick, image_rgb_u8: NDArray[np.uint8], options: Options
) -> bool:
    """Whether PyTorch's own answer changes when all weights move by a few roundings."""
    wanted = _torch_answer(module, yardstick.task, image_rgb_u8, options)
    for seed in range(_NUDGES):
        nudged = copy.deepcopy(module)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in nudged.parameters():
                weight.mul_(1 + _NUDGE * torch.randn(weight.shape, generator=generator))
        differences = yardstick.differences(
            _torch_answer(nudged, yardstick.task, image_rgb_u8, options), wanted
        )
        if differences is None or not all(one.is_small for one in differences):
            return True
    return False


def _text(one: Difference) -> str:
    unit = f" {one.unit}" if one.unit else ""
    return f"{one.things} by {one.value:.3g}{unit} (allowed is {one.allowed:g}{unit})"
