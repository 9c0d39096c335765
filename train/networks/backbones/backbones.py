"""Backbones by name, and the public ImageNet state dicts they read."""

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tombola.errors import RecipeError, TrainingError
from tombola.train.networks.backbones.mobilenet import EFFICIENTNET_LITE, MOBILENET_V2, InvertedResidualNet
from tombola.train.networks.backbones.resnet import BasicBlock, Bottleneck, ResNet

Backbone = InvertedResidualNet | ResNet

_BUILDERS: dict[str, Callable[[float, tuple[int, ...]], Backbone]] = {
    "mobilenet_v2": lambda width, strides: InvertedResidualNet(MOBILENET_V2, strides=strides, width=width),
    "efficientnet_lite0": lambda width, strides: InvertedResidualNet(
        EFFICIENTNET_LITE, strides=strides, width=width, lite=True
    ),
    "efficientnet_lite2": lambda width, strides: InvertedResidualNet(
        EFFICIENTNET_LITE, strides=strides, width=1.1 * width, depth=1.2, lite=True
    ),
    "resnet18": lambda width, strides: ResNet(BasicBlock, (2, 2, 2, 2), strides=strides, width=width),
    "resnet34": lambda width, strides: ResNet(BasicBlock, (3, 4, 6, 3), strides=strides, width=width),
    "resnet50": lambda width, strides: ResNet(Bottleneck, (3, 4, 6, 3), strides=strides, width=width),
}
BACKBONES = tuple(_BUILDERS)


def build_backbone(name: str, *, width: float = 1.0, strides: tuple[int, ...] = (8, 16, 32)) -> Backbone:
    """A backbone with fresh weights. Raises RecipeError for a name that is not in BACKBONES."""
    if name not in _BUILDERS:
        raise RecipeError(f"network.backbone = {name!r} is not known; choose one of {', '.join(BACKBONES)}")
    return _BUILDERS[name](width, strides)


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
    units = _source_units(source)
    blocks = [module for module in backbone.modules() if _is_unit(module)]
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


def _is_unit(module: nn.Module) -> bool:
    return hasattr(module, "conv") and hasattr(module, "norm")


def _source_units(source: dict[str, Tensor]) -> list[tuple[str, str]]:
    """(convolution, norm) names of the file in network order, without its classification head."""
    if "_conv_stem.weight" in source:
        return _efficientnet_units(source)
    if "features.0.0.weight" in source:
        return _mobilenet_units(source)
    if "conv1.weight" in source and "layer1.0.conv1.weight" in source:
        return _resnet_units(source)
    raise TrainingError(
        "start.weights: tensor names are of no known origin "
        "(EfficientNet-Lite by lukemelas, MobileNetV2 or ResNet by torchvision)"
    )


def _efficientnet_units(source: dict[str, Tensor]) -> list[tuple[str, str]]:
    units = [("_conv_stem", "_bn0")]
    index = 0
    while f"_blocks.{index}._depthwise_conv.weight" in source:
        block = f"_blocks.{index}"
        if f"{block}._expand_conv.weight" in source:
            units.append((f"{block}._expand_conv", f"{block}._bn0"))
        units.append((f"{block}._depthwise_conv", f"{block}._bn1"))
        units.append((f"{block}._project_conv", f"{block}._bn2"))
        index += 1
    return units


def _mobilenet_units(source: dict[str, Tensor]) -> list[tuple[str, str]]:
    units = [("features.0.0", "features.0.1")]
    index = 1
    while f"features.{index}.conv.0.0.weight" in source:
        block = f"features.{index}.conv"
        position = 0
        while f"{block}.{position}.0.weight" in source:
            units.append((f"{block}.{position}.0", f"{block}.{position}.1"))
            position += 1
        units.append((f"{block}.{position}", f"{block}.{position + 1}"))
        index += 1
    return units


def _resnet_units(source: dict[str, Tensor]) -> list[tuple[str, str]]:
    units = [("conv1", "bn1")]
    for layer in range(1, 5):
        block = 0
        while f"layer{layer}.{block}.conv1.weight" in source:
            name = f"layer{layer}.{block}"
            inner = 1
            while f"{name}.conv{inner}.weight" in source:
                units.append((f"{name}.conv{inner}", f"{name}.bn{inner}"))
                inner += 1
            if f"{name}.downsample.0.weight" in source:
                units.append((f"{name}.downsample.0", f"{name}.downsample.1"))
            block += 1
    return units
