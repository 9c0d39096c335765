"""Classifiers by the `network` table of a recipe."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from tombola.train.networks.axis import Axes
from tombola.train.networks.classify.backbone_classifier import (
    BackboneClassifier,
    InvertedResidualSettings,
    ResNet20Settings,
    ResNetSettings,
)
from tombola.train.networks.classify.cnn import Cnn, CnnSettings
from tombola.train.networks.classify.densenet import DenseNet, DenseNetSettings
from tombola.train.networks.classify.highway import Highway, HighwaySettings
from tombola.train.networks.classify.mlp import Mlp, MlpSettings
from tombola.train.networks.classify.patches import Patches, PatchesSettings

NetworkSettings = Annotated[
    MlpSettings
    | CnnSettings
    | ResNetSettings
    | ResNet20Settings
    | InvertedResidualSettings
    | DenseNetSettings
    | HighwaySettings
    | PatchesSettings,
    Field(discriminator="kind"),
]
Classifier = Mlp | Cnn | BackboneClassifier | DenseNet | Highway | Patches


def build_classifier(
    settings: NetworkSettings,
    *,
    channels: int,
    size_hw: tuple[int, int],
    n_classes: int,
    widths: Mapping[str, int] | None = None,
) -> Classifier:
    """A network with fresh weights, float [B, channels, h, w] -> logits [B, n_classes]; its last layer is
    `head`. `widths` by the name of an axis stand in for those of the settings.

    Raises RecipeError if pictures of size_hw are too small for it, TrainingError for widths of another
    network.
    """
    axes = Axes(widths)
    network = _build(settings, channels=channels, size_hw=size_hw, n_classes=n_classes, axes=axes)
    axes.check_all_used()
    return network


def _build(
    settings: NetworkSettings, *, channels: int, size_hw: tuple[int, int], n_classes: int, axes: Axes
) -> Classifier:
    match settings:
        case MlpSettings():
            return Mlp(settings, channels=channels, size_hw=size_hw, n_classes=n_classes, axes=axes)
        case CnnSettings():
            return Cnn(settings, channels=channels, size_hw=size_hw, n_classes=n_classes, axes=axes)
        case ResNetSettings() | ResNet20Settings() | InvertedResidualSettings():
            return BackboneClassifier(
                settings, channels=channels, size_hw=size_hw, n_classes=n_classes, axes=axes
            )
        case DenseNetSettings():
            return DenseNet(settings, channels=channels, size_hw=size_hw, n_classes=n_classes, axes=axes)
        case HighwaySettings():
            return Highway(settings, channels=channels, size_hw=size_hw, n_classes=n_classes, axes=axes)
        case PatchesSettings():
            return Patches(settings, channels=channels, size_hw=size_hw, n_classes=n_classes, axes=axes)
