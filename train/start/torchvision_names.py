"""Public names for the tensors of well-known networks, turned into ours."""

import re
from collections.abc import Iterable

from torch import nn

from tombola.train.networks.backbones.public_names import PUBLIC_HEADS, public_units
from tombola.train.networks.layers.convolution import ConvBatchNorm

# Torchvision's: (their pattern, our name); a number in braces counts from 0 where theirs counts from 1.
# Files from before torchvision 0.3 have a dot before the number of a norm or convolution.
_DENSENET: tuple[tuple[str, str], ...] = (
    (r"features\.conv0\.", "stem.0.conv."),
    (r"features\.norm0\.", "stem.0.norm."),
    (r"features\.denseblock(\d+)\.denselayer(\d+)\.norm\.?1\.", "stages.{0}.{1}.norm."),
    (r"features\.denseblock(\d+)\.denselayer(\d+)\.conv\.?1\.", "stages.{0}.{1}.squeeze.conv."),
    (r"features\.denseblock(\d+)\.denselayer(\d+)\.norm\.?2\.", "stages.{0}.{1}.squeeze.norm."),
    (r"features\.denseblock(\d+)\.denselayer(\d+)\.conv\.?2\.", "stages.{0}.{1}.conv."),
    (r"features\.transition(\d+)\.(norm|conv)\.", "stages.{0}.transition.{raw1}."),
    (r"features\.norm5\.", "norm."),
    (r"classifier\.", "head."),
)


def own_names(names: Iterable[str], network: nn.Module) -> dict[str, str]:
    """Each name of a state dict -> that of `network`; names of no known origin stay as they are.

    The names together tell the origin: `features.denseblock1...` is torchvision's DenseNet, put into ours by
    name; its ResNet and MobileNetV2 and lukemelas' EfficientNet-Lite are told by `public_units`, and go into
    the network's convolutions in their order.
    """
    known = set(names)
    if any(name.startswith("features.denseblock1.") for name in known):
        return {name: _densenet_name(name) for name in known}
    layers = dict.fromkeys(PUBLIC_HEADS, "head") if public_units(known) else {}
    own = [path for path, module in network.named_modules() if isinstance(module, ConvBatchNorm)]
    for (conv, norm), path in zip(public_units(known), own, strict=False):
        layers |= {conv: f"{path}.conv", norm: f"{path}.norm"}
    return {name: _renamed(name, layers) for name in known}


def _renamed(name: str, layers: dict[str, str]) -> str:
    layer, dot, tensor = name.rpartition(".")
    return layers.get(layer, layer) + dot + tensor


def _densenet_name(name: str) -> str:
    for pattern, own in _DENSENET:
        if found := re.match(pattern, name):
            groups = found.groups()
            counted = [int(group) - 1 if group.isdigit() else 0 for group in groups]
            raw = {f"raw{index}": group for index, group in enumerate(groups)}
            return own.format(*counted, **raw) + name[found.end() :]
    return name
