"""A small set of clips whose classes only the order of frames tells apart: a shape that moves, grows or
shrinks.

Played backwards, each clip is one of another class. In a set with a label for each frame a shape turns round
once or twice, and a frame is named by where it came from.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.train.run.folder import write_atomic

# Name -> what a frame adds to the shape's place (right, down) and to its radius.
MOTIONS = {
    "right": (1, 0, 0), "left": (-1, 0, 0), "down": (0, 1, 0), "up": (0, -1, 0), "grows": (0, 0, 1),
    "shrinks": (0, 0, -1),
}  # fmt: skip
STILL = "still"
SIDE_PX = 32
FEWEST, MOST = 8, 12  # frames of a clip
FRAME_MS = 80
LOSSLESS = 101  # of WebP; OpenCV's GIF dithers, in which the motion of one frame drowns
# Pixels a frame, of which a radius changes by half: what turns round stays in the picture at a higher speed.
SLOW, FAST = (1.0, 1.8), (2.0, 3.0)

Frames = NDArray[np.uint8]


def draw_clip(motion: str, rng: np.random.Generator) -> Frames:
    """A clip of one of MOTIONS, uint8 [n, SIDE_PX, SIDE_PX, 3]; length, shape, colours, place and speed are
    random."""
    count = int(rng.integers(FEWEST, MOST + 1))
    return _draw(draw_path([motion] * (count - 1), SLOW, rng), rng)


def draw_turning_clip(rng: np.random.Generator) -> tuple[Frames, list[str]]:
    """Frames of a shape that turns round once or twice, and the motion that led to each; the first is
    STILL."""
    count = int(rng.integers(FEWEST, MOST + 1))
    pair = [("right", "left"), ("down", "up"), ("grows", "shrinks")][int(rng.integers(3))]
    turns = sorted(rng.choice(np.arange(2, count - 1), int(rng.integers(1, 3)), replace=False).tolist())
    first = int(rng.integers(2))
    motions = [pair[(first + sum(turn <= frame for turn in turns)) % 2] for frame in range(1, count)]
    return _draw(draw_path(motions, FAST, rng), rng), [STILL, *motions]


def write_set(
    folder: Path, clips: int, seed: int, *, frames: bool = False, shuffled: bool = False
) -> Iterator[str]:
    """Write `clips` clips for training and a quarter as many for validation and for the test each, and a
    recipe for them; tells of each part. frames: with a label for each frame. shuffled: the same clips with
    the frames of each in random order. Raises OSError."""
    rng, order = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    names = list(MOTIONS)
    for split, count in (("train", clips), ("valid", clips // 4), ("test", clips // 4)):
        rows = []
        for number in range(count):
            motion = names[number % len(names)]
            if frames:
                images, labels = draw_turning_clip(rng)
                if shuffled:
                    places = order.permutation(len(images))
                    images, labels = images[places], [labels[at] for at in places]
                place = folder / split / f"{number:05d}.webp"
                starts = [at for at, label in enumerate(labels) if at == 0 or label != labels[at - 1]]
                rows += [(place.name, at, labels[at]) for at in starts]
            else:
                images = draw_clip(motion, rng)
                images = order.permutation(images) if shuffled else images
                place = folder / split / motion / f"{number:05d}.gif"
            place.parent.mkdir(parents=True, exist_ok=True)
            write_clip(place, images)
        if rows:
            write_atomic(folder / f"{split}.csv", _table(rows))
        yield f"{folder / split}: {count} clips"
    recipe = folder / "clips.toml"
    write_atomic(recipe, _recipe(frames=frames).encode())
    yield f"{recipe}: a recipe for them"


def write_clip(path: Path, frames_rgb_u8: Frames) -> None:
    """Write frames uint8 [n, h, w, 3] as an animated GIF, or WebP without loss, by the suffix of `path`."""
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in frames_rgb_u8]
    animation.durations = [FRAME_MS] * len(frames_rgb_u8)
    cv2.imwriteanimation(str(path), animation, [cv2.IMWRITE_WEBP_QUALITY, LOSSLESS])


def draw_path(
    motions: Sequence[str], speeds: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Place (right, down) and radius at each frame, [n, 3], around the middle; one motion leads from each to
    the next."""
    speed = rng.uniform(*speeds)
    steps = np.array([[0, 0, 0], *(MOTIONS[motion] for motion in motions)]) * [speed, speed, speed / 2]
    path = np.cumsum(steps, axis=0)
    middle = [*rng.uniform(SIDE_PX / 2 - 4, SIDE_PX / 2 + 4, 2), rng.uniform(6.5, 8.5)]
    placed: NDArray[np.float64] = path - (path.max(0) + path.min(0)) / 2 + np.array(middle)
    placed[:, 2] = placed[:, 2].clip(1.5)
    return placed


def draw_shape(
    path: NDArray[np.float64], ground: NDArray[np.int64], colour: NDArray[np.int64], *, is_round: bool
) -> Frames:
    """A circle or a square of `colour`, RGB, on `ground` along a path: uint8 [n, SIDE_PX, SIDE_PX, 3]."""
    frames = np.empty((len(path), SIDE_PX, SIDE_PX, 3), np.uint8)
    across, down = np.meshgrid(np.arange(SIDE_PX), np.arange(SIDE_PX))
    for frame, (x, y, radius) in zip(frames, path, strict=True):
        away_x, away_y = np.abs(across - x), np.abs(down - y)
        far = np.hypot(away_x, away_y) if is_round else np.maximum(away_x, away_y)
        frame[:] = np.where((far <= radius)[..., None], colour, ground)
    return frames


def _draw(path: NDArray[np.float64], rng: np.random.Generator) -> Frames:
    """A shape of random look."""
    ground, colour = rng.integers(0, 256, (2, 3))
    colour = np.where(np.abs(colour - ground).max() < 80, (ground + 128) % 256, colour)
    return draw_shape(path, ground, colour, is_round=bool(rng.random() < 0.5))


def _table(rows: list[tuple[str, int, str]]) -> bytes:
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("clip", "frame", "label"), *rows])
    return table.getvalue().encode()


def _recipe(*, frames: bool) -> str:
    classes = [STILL, *MOTIONS] if frames else list(MOTIONS)
    table = ', labels = "{0}.csv"' if frames else ""
    source = f'{{0}} = [{{{{ pictures = "{{0}}"{table} }}}}]'
    lines = [source.format(split) for split in ("train", "valid", "test")]
    return f"""task = "classify"
name = "moving-shapes{"-frames" if frames else ""}"

[data]
format = "clips"
classes = {json.dumps(classes)}
{chr(10).join(lines)}
rights = "drawn by Tombola, free of rights"

[picture]
size = [{SIDE_PX}, {SIDE_PX}]
frames = {MOST}

[network]
kind = "clip"
cell = "gru"
labels = "{"frame" if frames else "clip"}"

[network.frame]
blocks = [[8], [16], [16]]
dense = []

[training]
epochs = 8
batch_size = 16
learning_rate = 3e-3
warmup_steps = 30
ema_decay = 0.95
workers = 0
"""
