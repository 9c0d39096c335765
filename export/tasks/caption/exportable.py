"""What a trained captioner brings to an export."""

from collections.abc import Sequence

import torch
from torch import nn

from tombola.errors import ExportError
from tombola.export.exportable import Exportable
from tombola.export.parity.clips import ClipPhotos
from tombola.export.parity.photos import PictureSet, some_photos
from tombola.export.parity.question import Options, Photo
from tombola.export.tasks.caption.asking import CaptionAsking, ClipCaptionAsking
from tombola.export.tasks.caption.wrap import CaptionClip, CaptionPicture
from tombola.train.networks.caption.captioner import Captioner
from tombola.train.networks.inputs.classifier_input import ClassifierInput
from tombola.train.tasks.caption.recipe import CaptionAnswer, CaptionRecipe
from tombola.train.tasks.caption.task import load_split


def exportable_captioner(
    network: Captioner,
    picture_input: ClassifierInput,
    words: Sequence[str],
    answer: CaptionAnswer,
    n_frames: int = 0,
) -> Exportable:
    """A trained captioner; `answer` are the file's defaults. n_frames: of a clip that it looks at, 0 for
    pictures. ExportError where the words are not one a token."""
    known = network.decoder.words.out_features
    if known != len(words):
        raise ExportError(f"the network knows {known} words, but {len(words)} were given.")
    height, width = picture_input.size_hw
    defaults: Options = answer.model_dump()
    options = [torch.tensor(value) for value in defaults.values()]

    def wrap(folded: Captioner) -> nn.Module:
        if n_frames:
            return CaptionClip(folded, picture_input, n_frames)
        return CaptionPicture(folded, picture_input)

    # Odd, upright and not of the network's size, so that nothing of it can be taken for a constant.
    shape = (2 * height + 37, 2 * width + 11, 3)
    return Exportable(
        task="caption",
        network=network,
        wrap=wrap,
        asking=ClipCaptionAsking() if n_frames else CaptionAsking(),
        example=(torch.zeros((5, *shape) if n_frames else shape, dtype=torch.uint8), *options),
        vocabulary=words,
        defaults=defaults,
        input_size_hw=picture_input.shrink.wanted_hw,
        input_sides=picture_input.shrink.sides,
        input_frames=n_frames or None,
        more_inputs=("frames",) if n_frames else (),
        parity_sizes_hw=((height, width), (height, 3 * width), (3 * height, width)),
    )


def of_recipe(network: Captioner, recipe: CaptionRecipe) -> Exportable:
    """The network of a run, as its recipe has it."""
    picture = recipe.picture
    return exportable_captioner(
        network, picture.as_input(), recipe.data.classes, recipe.answer, picture.frames
    )


def photos_of(recipe: CaptionRecipe) -> list[Photo]:
    """A few pictures, or clips, that the run did not train on."""
    picture = recipe.picture

    def load(split: str) -> PictureSet:
        data = load_split(recipe, split)
        return ClipPhotos(data, picture.frames, picture.as_input().shrink) if picture.frames else data

    return some_photos(load)
