"""Classifiers by the `network` table of a recipe."""

from typing import Annotated

from pydantic import Field

from tombola.train.networks.classify.cnn import Cnn, CnnSettings
from tombola.train.networks.classify.densenet import DenseNet, DenseNetSettings
from tombola.train.networks.classify.highway import Highway, HighwaySettings
from tombola.train.networks.classify.mlp import Mlp, MlpSettings
from tombola.train.networks.classify.residual_classifier import (
    ResidualClassifier,
    ResNet20Settings,
    ResNetSettings,
)

NetworkSettings = Annotated[
    MlpSettings | CnnSettings | ResNetSettings | ResNet20Settings | DenseNetSettings | HighwaySettings,
    Field(discriminator="kind"),
]
Classifier = Mlp | Cnn | ResidualClassifier | DenseNet | Highway


def build_classifier(
    settings: NetworkSettings, *, channels: int, size_hw: tuple[int, int], n_classes: int
) -> Classifier:
    """A network with fresh weights, float [B, channels, h, w] -> logits [B, n_classes]; its last layer is
    `head`.

    Raises RecipeError if pictures of size_hw are too small for it.
    """
    match settings:
        case MlpSettings():
            return Mlp(settings, channels=channels, size_hw=size_hw, n_classes=n_classes)
        case CnnSettings():
            return Cnn(settings, channels=channels, size_hw=size_hw, n_classes=n_classes)
        case ResNetSettings() | ResNet20Settings():
            return ResidualClassifier(settings, channels=channels, n_classes=n_classes)
        case DenseNetSettings():
            return DenseNet(settings, channels=channels, size_hw=size_hw, n_classes=n_classes)
        case HighwaySettings():
            return Highway(settings, channels=channels, size_hw=size_hw, n_classes=n_classes)
