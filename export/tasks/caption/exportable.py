"""What a trained captioner brings to an export."""

from collections.abc import Sequence

import torch

from tombola.errors import ExportError
from tombola.export.exportable import Exportable
from tombola.export.parity.photos import some_photos
from tombola.export.parity.question import Options, Photo
from tombola.export.tasks.caption.asking import CaptionAsking
from tombola.export.tasks.caption.wrap import CaptionPicture
from tombola.train.networks.caption.captioner import Captioner
from tombola.train.networks.inputs.classifier_input import ClassifierInput
from tombola.train.tasks.caption.recipe import CaptionAnswer, CaptionRecipe
from tombola.train.tasks.caption.task import load_split


def exportable_captioner(
    network: Captioner, picture_input: ClassifierInput, words: Sequence[str], answer: CaptionAnswer
) -> Exportable:
    """A trained captioner; `answer` are the file's defaults. ExportError where the words are not one a
    token."""
    known = network.decoder.words.out_features
    if known != len(words):
        raise ExportError(f"the network knows {known} words, but {len(words)} were given.")
    height, width = picture_input.size_hw
    defaults: Options = answer.model_dump()
    options = [torch.tensor(value) for value in defaults.values()]
    return Exportable(
        task="caption",
        network=network,
        wrap=lambda folded: CaptionPicture(folded, picture_input),
        asking=CaptionAsking(),
        # Odd, upright and not of the network's size, so that nothing of it can be taken for a constant.
        example=(torch.zeros((2 * height + 37, 2 * width + 11, 3), dtype=torch.uint8), *options),
        vocabulary=words,
        defaults=defaults,
        input_size_hw=picture_input.shrink.wanted_hw,
        input_sides=picture_input.shrink.sides,
        parity_sizes_hw=((height, width), (height, 3 * width), (3 * height, width)),
    )


def of_recipe(network: Captioner, recipe: CaptionRecipe) -> Exportable:
    """The network of a run, as its recipe has it."""
    return exportable_captioner(network, recipe.picture.as_input(), recipe.data.classes, recipe.answer)


def photos_of(recipe: CaptionRecipe) -> list[Photo]:
    """A few pictures that the run did not train on."""
    return some_photos(lambda split: load_split(recipe, split))
