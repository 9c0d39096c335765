"""The order of the layers in public ImageNet state dicts, told by the names of their tensors."""

from collections.abc import Collection

# The last layer in each: torchvision's ResNet and MobileNetV2, lukemelas' EfficientNet-Lite.
PUBLIC_HEADS = ("fc", "classifier.1", "_fc")


def public_units(names: Collection[str]) -> list[tuple[str, str]]:
    """(convolution, norm) of a state dict in the order of the network, the convolution before its head last;
    empty if the names are of no known origin."""
    if "_conv_stem.weight" in names:
        return _efficientnet_units(names)
    if "features.0.0.weight" in names:
        return _mobilenet_units(names)
    if "conv1.weight" in names and "layer1.0.conv1.weight" in names:
        return _resnet_units(names)
    return []


def _efficientnet_units(names: Collection[str]) -> list[tuple[str, str]]:
    units = [("_conv_stem", "_bn0")]
    index = 0
    while f"_blocks.{index}._depthwise_conv.weight" in names:
        block = f"_blocks.{index}"
        if f"{block}._expand_conv.weight" in names:
            units.append((f"{block}._expand_conv", f"{block}._bn0"))
        units.append((f"{block}._depthwise_conv", f"{block}._bn1"))
        units.append((f"{block}._project_conv", f"{block}._bn2"))
        index += 1
    return [*units, ("_conv_head", "_bn1")]


def _mobilenet_units(names: Collection[str]) -> list[tuple[str, str]]:
    units = [("features.0.0", "features.0.1")]
    index = 1
    while f"features.{index}.conv.0.0.weight" in names:
        block = f"features.{index}.conv"
        position = 0
        while f"{block}.{position}.0.weight" in names:
            units.append((f"{block}.{position}.0", f"{block}.{position}.1"))
            position += 1
        units.append((f"{block}.{position}", f"{block}.{position + 1}"))
        index += 1
    return [*units, (f"features.{index}.0", f"features.{index}.1")]


def _resnet_units(names: Collection[str]) -> list[tuple[str, str]]:
    units = [("conv1", "bn1")]
    for layer in range(1, 5):
        block = 0
        while f"layer{layer}.{block}.conv1.weight" in names:
            name = f"layer{layer}.{block}"
            inner = 1
            while f"{name}.conv{inner}.weight" in names:
                units.append((f"{name}.conv{inner}", f"{name}.bn{inner}"))
                inner += 1
            if f"{name}.downsample.0.weight" in names:
                units.append((f"{name}.downsample.0", f"{name}.downsample.1"))
            block += 1
    return units
