"""Data sets to train on in seconds: coloured rectangles in COCO's form, drawn digits in MNIST's."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.train.odd_boxes import picture

COLOURS_RGB = ((220, 30, 30), (30, 60, 220))

TOY_RECIPE = """
task = "detect"
name = "toy"
seed = 5

[data]
root = ROOT
train = [{ annotations = "boxes.json", pictures = "pictures", folds = ["!0/3"] }]
valid = [{ annotations = "boxes.json", pictures = "pictures", folds = ["0/3"] }]
test = [{ annotations = "boxes.json", pictures = "pictures", folds = ["0/3"] }]

[network]
backbone = "mobilenet_v2"
batch_norm = "frozen"
width = 0.25
channels = 16

[proposals]
anchor_sizes_px = [[12.0], [20.0], [30.0]]

[roi]
width = 32
pooled_size = 3
samples = 16

[picture]
size = 64

[training]
epochs = 2
batch_size = 4
learning_rate = 2e-3
warmup_steps = 2
early_steps = [1]
workers = 0
"""


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures/ (12 PNGs of 48×64) and boxes.json; class 1 is red, class 2 blue."""
    root = tmp_path_factory.mktemp("toy-data")
    (root / "pictures").mkdir()
    rng = np.random.default_rng(3)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for index in range(12):
        image = np.full((48, 64, 3), 128, np.uint8)
        for kind in (0, 1):
            w, h = rng.integers(12, 26, size=2)
            x, y = rng.integers(0, 64 - w), rng.integers(0, 48 - h)
            image[y : y + h, x : x + w] = COLOURS_RGB[kind]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": kind + 1,
                    "bbox": [int(x), int(y), int(w), int(h)],
                    "area": int(w * h),
                    "iscrowd": 0,
                }
            )
        name = f"{index:03d}.png"
        cv2.imwrite(str(root / "pictures" / name), image[..., ::-1])
        images.append({"id": index, "file_name": name, "width": 64, "height": 48})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}],
    }
    (root / "boxes.json").write_text(json.dumps(content))
    return root


@pytest.fixture(scope="session")
def make_toy_recipe(toy_data: Path) -> Callable[[Path], Path]:
    """Write a recipe that trains on it in seconds to a folder."""

    def make(folder: Path) -> Path:
        path = folder / "toy.toml"
        path.write_text(TOY_RECIPE.replace("ROOT", repr(str(toy_data))))
        return path

    return make


@pytest.fixture
def toy_recipe(make_toy_recipe: Callable[[Path], Path], tmp_path: Path) -> Path:
    """The recipe in a folder of the test's own."""
    return make_toy_recipe(tmp_path)


DIGITS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


def drawn_digits(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """White digits on black at random places, sizes and weights: uint8 [count, 28, 28] and labels [count]."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.uint8) % len(DIGITS)
    images = np.zeros((count, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        scale, weight = float(rng.uniform(0.6, 0.85)), int(rng.integers(1, 3))
        corner = (int(rng.integers(5, 11)), int(rng.integers(20, 25)))
        cv2.putText(image, DIGITS[label], corner, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, weight, cv2.LINE_AA)
    order = rng.permutation(count)
    return images[order], labels[order]


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """MNIST's format: two zeros, 8 for uint8, the number of axes, big-endian sides, the bytes."""
    sides = b"".join(side.to_bytes(4, "big") for side in array.shape)
    path.write_bytes(gzip.compress(bytes([0, 0, 8, array.ndim]) + sides + array.tobytes(), mtime=0))


@pytest.fixture(scope="session")
def digits_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 600 drawn digits to train on and 100 to test: images.gz, labels.gz, test-*.gz."""
    root = tmp_path_factory.mktemp("digits")
    for prefix, count, seed in (("", 600, 0), ("test-", 100, 1)):
        images, labels = drawn_digits(count, seed)
        write_idx(root / f"{prefix}images.gz", images)
        write_idx(root / f"{prefix}labels.gz", labels)
    return root


@pytest.fixture(scope="session")
def make_digits_recipe(digits_data: Path) -> Callable[[Path], Path]:
    """Write a recipe that trains a small convolutional network on them in seconds to a folder."""

    def make(folder: Path) -> Path:
        path = folder / "digits.toml"
        path.write_text(
            f"""
task = "classify"
name = "digits"
seed = 5

[data]
format = "idx"
root = {str(digits_data)!r}
classes = {list(DIGITS)}
train = [{{ pictures = "images.gz", labels = "labels.gz", folds = ["!0/6"] }}]
valid = [{{ pictures = "images.gz", labels = "labels.gz", folds = ["0/6"] }}]
test = [{{ pictures = "test-images.gz", labels = "test-labels.gz" }}]

[picture]
size = [28, 28]
channels = 1
mean = [20.0]
scale = [0.015]

[network]
kind = "cnn"
blocks = [[8], [16]]
dense = [32]

[training]
epochs = 3
batch_size = 20
learning_rate = 5e-3
warmup_steps = 5
ema_decay = 0.9
early_steps = [1]
workers = 0
"""
        )
        return path

    return make


@pytest.fixture
def digits_recipe(make_digits_recipe: Callable[[Path], Path], tmp_path: Path) -> Path:
    """The recipe in a folder of the test's own."""
    return make_digits_recipe(tmp_path)


@pytest.fixture(scope="module")
def no_drawing() -> Iterator[None]:
    """Curves and reports have tests of their own; drawn here they would take longer than the trainings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tombola.train.loop.loop.draw_curves", lambda *_: b"drawn")
        patch.setattr("tombola.train.train.write_report", lambda *_, **__: None)
        yield


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures a.png, of 100 × 80 pixels, and b.png."""
    picture(tmp_path / "photos" / "a.png", 1)
    picture(tmp_path / "photos" / "b.png", 2)
    return tmp_path / "photos"
