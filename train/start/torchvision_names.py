"""Torchvision's names for the tensors of ResNet and DenseNet, turned into ours."""

import re
from collections.abc import Iterable

# (their pattern, our name); a number in braces counts from 0 where theirs counts from 1.
_RESNET: tuple[tuple[str, str], ...] = (
    (r"conv1\.", "stem.0.conv."),
    (r"bn1\.", "stem.0.norm."),
    (r"layer(\d+)\.(\d+)\.conv(\d+)\.", "stages.{0}.{raw1}.body.{2}.conv."),
    (r"layer(\d+)\.(\d+)\.bn(\d+)\.", "stages.{0}.{raw1}.body.{2}.norm."),
    (r"layer(\d+)\.(\d+)\.downsample\.0\.", "stages.{0}.{raw1}.shortcut.conv."),
    (r"layer(\d+)\.(\d+)\.downsample\.1\.", "stages.{0}.{raw1}.shortcut.norm."),
    (r"fc\.", "head."),
)
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


def own_names(names: Iterable[str]) -> dict[str, str]:
    """Each name of a state dict -> ours; names that are not torchvision's stay as they are.

    The names together tell the origin: `conv1.weight` with `layer1.0.conv1.weight` is a ResNet,
    `features.denseblock1...` a DenseNet.
    """
    known = set(names)
    if {"conv1.weight", "layer1.0.conv1.weight"} <= known:
        return {name: _own_name(name, _RESNET) for name in known}
    if any(name.startswith("features.denseblock1.") for name in known):
        return {name: _own_name(name, _DENSENET) for name in known}
    return {name: name for name in known}


def _own_name(name: str, patterns: Iterable[tuple[str, str]]) -> str:
    for pattern, own in patterns:
        if found := re.match(pattern, name):
            groups = found.groups()
            counted = [int(group) - 1 if group.isdigit() else 0 for group in groups]
            raw = {f"raw{index}": group for index, group in enumerate(groups)}
            return own.format(*counted, **raw) + name[found.end() :]
    return name
