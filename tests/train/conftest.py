"""A data set small enough to train on in a second: coloured rectangles on grey, in COCO's form."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

COLOURS_RGB = ((220, 30, 30), (30, 60, 220))


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


@pytest.fixture
def toy_recipe(toy_data: Path, tmp_path: Path) -> Path:
    """A recipe that trains on it in seconds."""
    path = tmp_path / "toy.toml"
    path.write_text(
        f"""
task = "detect"
name = "toy"
seed = 5

[data]
root = {str(toy_data)!r}
train = [{{ annotations = "boxes.json", pictures = "pictures", folds = ["!0/3"] }}]
valid = [{{ annotations = "boxes.json", pictures = "pictures", folds = ["0/3"] }}]
test = [{{ annotations = "boxes.json", pictures = "pictures", folds = ["0/3"] }}]

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
    )
    return path
