"""Coloured squares and what is said of them: captioned pictures to train on in seconds."""

import json
from pathlib import Path

import cv2
import numpy as np

COLOURS_RGB = {"red": (220, 30, 30), "blue": (30, 60, 220), "green": (20, 160, 60)}
SIDES = ("left", "right")

RECIPE = """
task = "caption"
name = "toy"
seed = 3

[data]
root = "ROOT"
least_count = 2
rights = "drawn by a program"
train = [{ captions = "captions.json", pictures = "pictures", split = "train" }]
valid = [{ captions = "captions.json", pictures = "pictures", split = "val" }]
test = [{ captions = "captions.json", pictures = "pictures", split = "val" }]

[picture]
size = [32, 32]

[network]
backbone = "resnet20"
width = 0.5
features = 16

[network.decoder]
units = 32
embedding = 16
attention_units = 8
dropout = 0.0

[answer]
beam_size = 3
max_length = 8

[training]
epochs = 2
batch_size = 6
learning_rate = 1e-2
warmup_steps = 2
ema_decay = 0.0
early_steps = []
workers = 0
"""


def write_toy(root: Path) -> Path:
    """Write 24 pictures of 40×48 with two captions each, karpathy.json among them, and recipe.toml, whose
    path is returned."""
    (root / "pictures").mkdir(parents=True)
    rng = np.random.default_rng(1)
    images = []
    for number in range(24):
        colour, side = list(COLOURS_RGB)[number % 3], SIDES[number // 3 % 2]
        image = np.full((40, 48, 3), 128, np.uint8) + rng.integers(-9, 9, (40, 48, 3)).astype(np.uint8)
        left = int(rng.integers(2, 6)) + (24 if side == "right" else 0)
        image[10:30, left : left + 16] = COLOURS_RGB[colour]
        name = f"{number:02d}.png"
        cv2.imwrite(str(root / "pictures" / name), image[..., ::-1])
        captions = [f"A {colour} square on the {side}.", f"The {side} has a {colour} square"]
        images.append(
            {
                "filename": name,
                "split": "val" if number % 4 == 3 else "train",
                "sentences": [{"raw": one, "tokens": one.lower().strip(".").split()} for one in captions],
            }
        )
    (root / "captions.json").write_text(json.dumps({"dataset": "toy", "images": images}))
    recipe = root / "recipe.toml"
    recipe.write_text(RECIPE.replace("ROOT", str(root)))
    return recipe
