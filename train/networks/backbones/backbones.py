"""Backbones by name, and the public ImageNet state dicts they read."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from tombola.errors import RecipeError, TrainingError
from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.backbones.backbone import Backbone
from tombola.train.networks.backbones.mobilenet import (
    EFFICIENTNET_LITE,
    MOBILENET_V2,
    inverted_residual_net,
)
from tombola.train.networks.backbones.public_names import public_units
from tombola.train.networks.backbones.resnet import BasicBlock, Bottleneck, StemName, resnet
from tombola.train.networks.layers.convolution import ConvBatchNorm

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


def load_imagenet_weights(backbone: Backbone, path: Path) -> None:
    """Copy a public ImageNet state dict (safetensors, any float type) into the backbone; its classifier is
    left out.

    Tensors are matched in the order of the network, by shape, after the file's own names are put into that
    order: lukemelas' names for EfficientNet-Lite, torchvision's for MobileNetV2 and ResNet.
    Raises TrainingError that names the first tensor that is missing or does not fit.
    """
    try:
        source = load_file(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"start.weights: {path} cannot be read as safetensors ({error})") from None
    units = public_units(source)
    if not units:
        raise TrainingError(
            "start.weights: tensor names are of no known origin "
            "(EfficientNet-Lite by lukemelas, MobileNetV2 or ResNet by torchvision)"
        )
    blocks = [module for module in backbone.modules() if isinstance(module, ConvBatchNorm)]
    if len(units) < len(blocks):
        raise TrainingError(
            f"start.weights: {path} has {len(units)} convolutions, the backbone {len(blocks)}; "
            "give the weights of this very architecture, or leave start.weights out"
        )
    for (conv_name, norm_name), block in zip(units, blocks, strict=False):
        own = {
            "conv.weight": f"{conv_name}.weight",
            "norm.weight": f"{norm_name}.weight",
            "norm.bias": f"{norm_name}.bias",
            "norm.running_mean": f"{norm_name}.running_mean",
            "norm.running_var": f"{norm_name}.running_var",
        }
        tensors = dict(block.named_parameters()) | dict(block.named_buffers())
        for name, source_name in own.items():
            if source_name not in source or source[source_name].shape != tensors[name].shape:
                found = tuple(source[source_name].shape) if source_name in source else "nothing"
                raise TrainingError(
                    f"start.weights: {path} has {found} for {source_name}, "
                    f"the backbone wants {tuple(tensors[name].shape)}; check network.backbone "
                    "and network.width"
                )
            tensors[name].data.copy_(source[source_name])
