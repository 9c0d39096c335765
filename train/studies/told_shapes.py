"""A small set of clips with captions that only the order of frames tells.

"a red circle moves left then grows": played backwards it would shrink and then move right, as each is told
otherwise.
"""

import csv
import io
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import numpy as np

from tombola.train.run.folder import write_atomic
from tombola.train.studies.moving_shapes import (
    FAST,
    FEWEST,
    MOST,
    MOTIONS,
    SIDE_PX,
    Frames,
    draw_path,
    draw_shape,
    write_clip,
)

COLOURS_RGB = {
    "red": (210, 30, 30), "green": (30, 160, 40), "blue": (40, 60, 220), "yellow": (230, 210, 30),
    "white": (245, 245, 245), "black": (10, 10, 10),
}  # fmt: skip
SHAPES = ("square", "circle")


def draw_told_clip(rng: np.random.Generator) -> tuple[Frames, str]:
    """A clip uint8 [n, SIDE_PX, SIDE_PX, 3] of a shape that moves one way and then across it, and its
    caption; half of its steps, at least, are of each motion."""
    first, then = _two_motions(rng)
    steps = int(rng.integers(FEWEST, MOST + 1)) - 1
    turn = int(rng.integers(steps // 2, steps // 2 + 2))
    path = draw_path([first] * turn + [then] * (steps - turn), FAST, rng)
    colour, shape = str(rng.choice(list(COLOURS_RGB))), str(rng.choice(SHAPES))
    ground = np.full(3, rng.integers(90, 150))
    frames = draw_shape(path, ground, np.array(COLOURS_RGB[colour]), is_round=shape == "circle")
    return frames, f"a {colour} {shape} {_said(first)} then {_said(then)}"


def write_told_set(folder: Path, clips: int, seed: int, *, shuffled: bool = False) -> Iterator[str]:
    """Write `clips` clips for training and a quarter as many for validation and for the test each, a table of
    file and caption for each part, and a recipe; tells of each part. shuffled: the same clips with the frames
    of each in random order. Raises OSError."""
    rng, order = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    for split, count in (("train", clips), ("valid", clips // 4), ("test", clips // 4)):
        (folder / split).mkdir(parents=True, exist_ok=True)
        table = io.StringIO()
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(("file", "caption"))
        for number in range(count):
            frames, caption = draw_told_clip(rng)
            place = folder / split / f"{number:05d}.webp"
            write_clip(place, order.permutation(frames) if shuffled else frames)
            rows.writerow((place.name, caption))
        write_atomic(folder / f"{split}.csv", table.getvalue().encode())
        yield f"{folder / split}: {count} clips"
    recipe = folder / "captions.toml"
    write_atomic(recipe, _RECIPE.encode())
    yield f"{recipe}: a recipe for them"


def _two_motions(rng: np.random.Generator) -> tuple[str, str]:
    """Two of MOTIONS, not there and back, which would be told alike backwards."""
    moved = {name: int(np.abs(change).argmax()) for name, change in MOTIONS.items()}
    pairs = [(first, then) for first, then in permutations(MOTIONS, 2) if moved[first] != moved[then]]
    return pairs[rng.integers(len(pairs))]


def _said(motion: str) -> str:
    return motion if motion in ("grows", "shrinks") else f"moves {motion}"


_RECIPE = f"""task = "caption"
name = "told-shapes"

[data]
format = "csv"
least_count = 1
train = [{{ captions = "train.csv", pictures = "train" }}]
valid = [{{ captions = "valid.csv", pictures = "valid" }}]
test = [{{ captions = "test.csv", pictures = "test" }}]
rights = "drawn by Tombola, free of rights"

[picture]
size = [{SIDE_PX}, {SIDE_PX}]
frames = 8

[network]
backbone = "resnet20"
width = 0.5
features = 64

[network.clip]
channels = 8
units = 64

[network.decoder]
units = 64
embedding = 32
attention_units = 32
dropout = 0.0

[loss]
label_smoothing = 0.0
attention = 0.0

[answer]
beam_size = 3
max_length = 12

[training]
epochs = 20
batch_size = 16
learning_rate = 3e-3
warmup_steps = 30
ema_decay = 0.95
workers = 0
"""
