"""What a trained classifier brings to an export."""

from collections.abc import Sequence

import torch

from tombola.export.exportable import Exportable, check_width
from tombola.export.parity.clips import ClipAsking, ClipPhotos
from tombola.export.parity.photos import PictureSet, some_photos
from tombola.export.parity.question import Photo, PictureAsking
from tombola.export.tasks.classify.wrap import ClassifyPicture, LookAtPicture, NameClip
from tombola.train.networks.classify.backbone_classifier import BackboneClassifier
from tombola.train.networks.classify.classifiers import Classifier
from tombola.train.networks.classify.clip import ClipNetwork
from tombola.train.networks.classify.patches import Patches
from tombola.train.networks.inputs.classifier_input import ClassifierInput
from tombola.train.tasks.classify.recipe import ClassifyRecipe
from tombola.train.tasks.classify.task import load_split


def exportable_classifier(
    network: Classifier, picture_input: ClassifierInput, labels: Sequence[str]
) -> Exportable:
    """A trained classifier.

    picture_input: what the network was trained to see. Parity is checked at its size too, and at that of a
    picture with one side in common with it. ExportError where the labels are not one a class.
    """
    height, width = picture_input.size_hw
    check_width(network.head.out_features, labels)
    looks = isinstance(network, BackboneClassifier | Patches) and network.pool is not None
    wrapper = LookAtPicture if looks else ClassifyPicture
    return Exportable(
        task="classify",
        network=network,
        wrap=lambda folded: wrapper(folded, picture_input),
        asking=PictureAsking(),
        # Odd, upright and not of the network's size, so that nothing of it can be taken for a constant.
        example=(torch.zeros((2 * height + 37, 2 * width + 11, 3), dtype=torch.uint8),),
        labels=labels,
        input_size_hw=picture_input.shrink.wanted_hw,
        input_sides=picture_input.shrink.sides,
        input_fit=picture_input.fit if looks else "",
        more_outputs=("attention",) if looks else (),
        parity_sizes_hw=((height, width), (height, 3 * width), (3 * height, width)),
    )


def exportable_clips(
    network: ClipNetwork, picture_input: ClassifierInput, labels: Sequence[str], most_frames: int
) -> Exportable:
    """A trained classifier of clips; `most_frames` of a clip are to be fed. Else as above."""
    height, width = picture_input.size_hw
    check_width(network.head.out_features, labels)
    return Exportable(
        task="classify",
        network=network,
        wrap=lambda folded: NameClip(folded, picture_input),
        asking=ClipAsking(),
        example=(torch.zeros((5, 2 * height + 37, 2 * width + 11, 3), dtype=torch.uint8),),
        labels=labels,
        input_size_hw=picture_input.shrink.wanted_hw,
        input_sides=picture_input.shrink.sides,
        input_frames=most_frames,
        more_inputs=("frames",),
        more_outputs=("frame_probabilities",) if network.of_frames else (),
        parity_sizes_hw=((height, width), (height, 3 * width), (3 * height, width)),
    )


def of_recipe(network: Classifier | ClipNetwork, recipe: ClassifyRecipe) -> Exportable:
    """The network of a run, as its recipe has it."""
    picture, classes = recipe.picture, recipe.data.classes
    if isinstance(network, ClipNetwork):
        return exportable_clips(network, picture.as_input(), classes, picture.frames)
    return exportable_classifier(network, picture.as_input(), classes)


def photos_of(recipe: ClassifyRecipe) -> list[Photo]:
    """A few pictures or clips that the run did not train on."""

    def load(split: str) -> PictureSet:
        data = load_split(recipe, split, recipe.data.classes)
        picture = recipe.picture
        return data if data.steps is None else ClipPhotos(data, picture.frames, picture.as_input().shrink)

    return some_photos(load)
