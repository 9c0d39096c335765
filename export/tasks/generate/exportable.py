"""What a trained generator brings to an export."""

from collections.abc import Sequence

import torch

from tombola.export.exportable import Exportable, check_width
from tombola.export.parity.photos import some_photos
from tombola.export.parity.question import Photo
from tombola.export.tasks.generate.asking import GenerateAsking
from tombola.export.tasks.generate.wrap import (
    CompleteOrGenerate,
    EncodeOrGenerate,
    EncodeOrGenerateOfClass,
    EncodeOrWalk,
    GeneratePictures,
)
from tombola.train.networks.generate.generators import Completing, Generator, Walking
from tombola.train.networks.inputs.classifier_input import ClassifierInput
from tombola.train.tasks.classify.task import load_split
from tombola.train.tasks.generate.recipe import GenerateRecipe


def exportable_generator(
    network: Generator, picture_input: ClassifierInput, labels: Sequence[str]
) -> Exportable:
    """A trained generator.

    picture_input: what the network was trained to see, for one that encodes. ExportError where the labels of
    a conditional one are not one a class.
    """
    count = 5
    latents = torch.zeros((count, network.latent_size))
    label = [torch.zeros(count, dtype=torch.int64)] if network.n_labels else []
    height, width = picture_input.size_hw
    picture = [torch.zeros((2 * height + 37, 2 * width + 11, 3), dtype=torch.uint8), torch.tensor(1)]
    completes = isinstance(network, Completing)
    if completes:
        picture.append(torch.zeros((2 * height + 37, 2 * width + 11), dtype=torch.uint8))
    if network.n_labels:
        check_width(network.n_labels, labels)
    return Exportable(
        task="generate",
        network=network,
        wrap=lambda folded: _wrapped(folded, picture_input),
        asking=GenerateAsking(network.latent_size, network.n_labels, network.encodes, completes),
        example=(latents, *label, *(picture if network.encodes else ())),
        labels=labels if network.n_labels else (),
        input_size_hw=(height, width) if network.encodes else None,
        input_sides=picture_input.shrink.sides if network.encodes else None,
        more_inputs=(
            *(("label",) if network.n_labels else ()),
            *(("image", "encode") if network.encodes else ()),
            *(("missing",) if completes else ()),
        ),
        sides={"latent_size": network.latent_size},
        parity_sizes_hw=((height, width), (height, 3 * width), (3 * height, width))
        if network.encodes
        else (),
    )


def _wrapped(network: Generator, picture_input: ClassifierInput) -> GeneratePictures:
    if not network.encodes:
        return GeneratePictures(network)
    if isinstance(network, Completing):
        return CompleteOrGenerate(network, picture_input)
    if isinstance(network, Walking):
        return EncodeOrWalk(network, picture_input)
    kind = EncodeOrGenerateOfClass if network.n_labels else EncodeOrGenerate
    return kind(network, picture_input)


def of_recipe(network: Generator, recipe: GenerateRecipe) -> Exportable:
    """The network of a run, as its recipe has it."""
    return exportable_generator(network, recipe.picture.as_input(), recipe.data.classes)


def photos_of(recipe: GenerateRecipe) -> list[Photo]:
    """A few pictures that the run did not train on."""
    return some_photos(lambda split: load_split(recipe, split, recipe.data.classes))
