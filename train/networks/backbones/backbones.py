"""Backbones by name."""

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.backbones.backbone import Backbone
from tombola.train.networks.backbones.mobilenet import EFFICIENTNET_LITE, MOBILENET_V2, inverted_residual_net
from tombola.train.networks.backbones.resnet import BasicBlock, Bottleneck, StemName, resnet

BACKBONES = (
    "mobilenet_v2", "efficientnet_lite0", "efficientnet_lite2", "resnet18", "resnet34", "resnet50", "resnet20"
)  # fmt: skip


def build_backbone(
    name: str,
    *,
    width: float = 1.0,
    strides: tuple[int, ...] | None = (8, 16, 32),
    channels: int = 3,
    stem: StemName = "large",
    axes: Axes | None = None,
) -> Backbone:
    """A backbone with fresh weights that reads pictures of `channels` and hands out the maps of `strides`, or
    its last map. `stem` is for ResNet-18, -34 and -50.

    Raises RecipeError for a name that is not in BACKBONES, or a stride that it has not.
    """
    picture, axes = Axis("picture", channels, pinned=True), axes or Axes()
    match name:
        case "mobilenet_v2":
            return inverted_residual_net(MOBILENET_V2, picture, axes, strides=strides, width=width)
        case "efficientnet_lite0":
            return inverted_residual_net(
                EFFICIENTNET_LITE, picture, axes, strides=strides, width=width, lite=True
            )
        case "efficientnet_lite2":
            return inverted_residual_net(
                EFFICIENTNET_LITE, picture, axes, strides=strides, width=1.1 * width, depth=1.2, lite=True
            )
        case "resnet18":
            return resnet(BasicBlock, (2, 2, 2, 2), picture, axes, strides=strides, width=width, stem=stem)
        case "resnet34":
            return resnet(BasicBlock, (3, 4, 6, 3), picture, axes, strides=strides, width=width, stem=stem)
        case "resnet50":
            return resnet(Bottleneck, (3, 4, 6, 3), picture, axes, strides=strides, width=width, stem=stem)
        case "resnet20":  # He et al. 2016, section 4.2: for pictures of 32 pixels
            return resnet(
                BasicBlock, (3, 3, 3), picture, axes, strides=strides, width=width, first=16, stem="small"
            )
    raise RecipeError(f"network.backbone = {name!r} is not known; choose one of {', '.join(BACKBONES)}")
