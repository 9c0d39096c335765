"""A first recipe as commented TOML, made from what a folder holds."""

import math
from collections.abc import Sequence

import tomli_w

from tombola.train.data.boxes.layouts import WHOLE
from tombola.train.download.weights import SHIPPED_DETECTOR, WEIGHTS
from tombola.train.init.found import Found, Source

BACKBONE = "efficientnet_lite0"
# The detector that trainings go on from has these.
SHIPPED_CHANNELS, SHIPPED_ANCHORS_PX = 64, [[12, 20, 32], [44, 64, 90], [128, 180, 250]]
# Steps that a training needs to come to an end, in our experience with VOC: from a backbone alone, and from a
# detector, which knows things from what is behind them.
STEPS, STEPS_OF_DETECTOR = 1200, 150
MOST_EPOCHS, FEWEST_EPOCHS = 100, 12
MOST_JUDGED = 12  # epochs that are scored; of a small set that takes as long as the training
# A box with a shorter √area than this, in pixels of the network, is hardly found.
SMALLEST_BOX_PX = 14
DETECT_SIZES_PX = (320, 416, 512, 640)
# Smaller pictures than this are not photos, which the public weights have learnt from.
SMALLEST_PHOTO_PX = 64
FEW_PICTURES = 300


def recipe_text(found: Found, root: str, name: str, *, fresh: bool) -> str:
    """The recipe. root: data.root as it is to be written. fresh: from fresh weights, not public ones."""
    detect = found.task == "detect"
    small = not detect and max(found.pixels.size_hw) < SMALLEST_PHOTO_PX
    fresh = fresh or small
    sections = [
        f"# Made by `tombola init`. `tombola recipe --show {found.task}` explains every key.\n"
        f'task = "{found.task}"\nname = {_toml(name)}\n',
        _data(found, root),
        _picture(found, fresh=fresh),
        _network(detect=detect, small=small),
        "" if fresh else _start(detect=detect, few=found.n_training < FEW_PICTURES),
        _augment(detect=detect, small=small),
        _training(found, STEPS_OF_DETECTOR if detect and not fresh else STEPS),
    ]
    return "\n".join(section for section in sections if section)


def _data(found: Found, root: str) -> str:
    unit = "boxes" if found.task == "detect" else "pictures"
    counts = ", ".join(f"{name} {count}" for name, count in list(found.n_by_class.items())[:20])
    more = f", and {len(found.n_by_class) - 20} more" if len(found.n_by_class) > 20 else ""
    lines = ["[data]", f'format = "{found.format_name}"', f"root = {_toml(root)}"]
    lines += _comment(f"{unit} of each class: {counts}{more}")
    lines.append(f"classes = {_toml(list(found.n_by_class))}")
    lines += _sets(found)
    lines.append(_told('rights = ""', "whose pictures they are; the exported file tells it"))
    return "\n".join(lines) + "\n"


def _sets(found: Found) -> list[str]:
    """The three sets; where one is missing, folds of another stand in."""
    sets = dict(found.sets)
    n = 6 if found.n_training < FEW_PICTURES else 10
    if WHOLE in sets:
        told = f"one set was found: every {n}th picture is kept for choosing, every {n}th for the test. If "
        told += "some show one scene (frames of a video), keep these in one set, or the score is too good"
        whole = sets[WHOLE]
        return [
            *_comment(told),
            _set("train", whole, f"!0/{n}", f"!{n // 2}/{n}"),
            _set("valid", whole, f"0/{n}"),
            _set("test", whole, f"{n // 2}/{n}"),
        ]
    if "valid" in sets:
        lines = [_set("train", sets["train"]), _set("valid", sets["valid"])]
    else:
        told = f"no set for choosing the best weights was found: every {n}th training picture is kept for it"
        lines = [
            *_comment(told),
            _set("train", sets["train"], f"!0/{n}"),
            _set("valid", sets["train"], f"0/{n}"),
        ]
    if "test" in sets:
        return [*lines, _set("test", sets["test"])]
    return [*lines, *_comment("no test set was found: `tombola evaluate` needs one, never trained on")]


def _set(split: str, sources: Sequence[Source], *folds: str) -> str:
    entries = []
    for one in sources:
        keys = [f"{key} = {_toml(text)}" for key, text in one.keys.items()]
        keys += [f"folds = {_toml(list(folds))}"] if folds else []
        entries.append(f"{{ {', '.join(keys)} }}")
    return f"{split} = [{', '.join(entries)}]"


def _picture(found: Found, *, fresh: bool) -> str:
    height, width = found.pixels.size_hw
    lines = ["[picture]", *_comment(f"yours are {width}×{height} px in the median")]
    if found.task == "detect":
        told = "the longer side, in pixels; a larger one finds smaller things, and is slower"
        lines.append(_told(f"size = {_detect_size(found)}", told))
    else:
        side = _classify_side(found)
        lines.append(_told(f"size = [{side}, {side}]", "what the network sees, in pixels"))
    grey = found.task == "classify" and found.pixels.is_grey and fresh
    n_channels = 1 if grey else 3
    mean, spread = (values[:n_channels] for values in (found.pixels.mean_rgb, found.pixels.spread_rgb))
    if grey:
        lines.append(_told("channels = 1", "all are grey"))
    own = f"mean {_levels(mean)}, standard deviation {_levels(spread)} of 0..255"
    if fresh:
        # A channel without any contrast has nothing to be scaled.
        scale = [float(f"{1 / max(value, 1):.3g}") for value in spread]
        lines += [*_comment(f"yours have {own}"), f"mean = [{_levels(mean)}]", f"scale = {scale}"]
    else:
        lines += _comment(f"as the first weights know pictures; yours have {own}")
        lines.append(next(one.picture for one in WEIGHTS if one.name == BACKBONE).rstrip("\n"))
    return "\n".join(lines) + "\n"


def _detect_size(found: Found) -> int:
    longest = math.ceil(max(found.pixels.size_hw) / 32) * 32
    if longest <= DETECT_SIZES_PX[0]:
        return max(longest, 64)
    fitting = [size for size in DETECT_SIZES_PX if size <= longest]
    return next((size for size in fitting if found.small_box * size >= SMALLEST_BOX_PX), fitting[-1])


def _classify_side(found: Found) -> int:
    shortest = min(found.pixels.size_hw)
    if max(found.pixels.size_hw) < SMALLEST_PHOTO_PX:
        return max(shortest, 8)
    return min(224, max(64, shortest // 32 * 32))


def _network(*, detect: bool, small: bool) -> str:
    if detect:
        return (
            f'[network]\nbackbone = "{BACKBONE}"\nchannels = {SHIPPED_CHANNELS}\n\n'
            f"[proposals]\nanchor_sizes_px = {SHIPPED_ANCHORS_PX}\n"
        )
    if small:
        return '[network]\nkind = "cnn"\n'
    return f'[network]\nkind = "{BACKBONE}"\ndropout = 0.2\n'


def _start(*, detect: bool, few: bool) -> str:
    lines = ["[start]"]
    if detect:
        told = (
            "the detector that ships, which learnt from photos offered for research. A backbone alone, whose "
        )
        lines += _comment(f'{told}terms are freer: weights = "{BACKBONE}", and epochs = {MOST_EPOCHS}')
        lines.append(f'weights = "{SHIPPED_DETECTOR}"')
    else:
        lines.append(_told(f'weights = "{BACKBONE}"', f"`tombola data get {BACKBONE}` brings them, once"))
    freeze = f'freeze = "backbone.stages.{5 if detect and few else 3}"'
    lines.append(_told(freeze, "layers up to this one keep their weights"))
    return "\n".join(lines) + "\n"


def _augment(*, detect: bool, small: bool) -> str:
    flip = _told("flip = 0.5", "0 where left and right differ, as in letters")
    if detect:
        return f"[augment]\n{flip}\n"
    if small:
        return "[augment]\ntranslate = 0.07\nrotate = 10\n"
    return f"[augment]\n{flip}\ncrop = 0.5\nrotate = 10\nbrightness = 0.2\ncontrast = 0.2\nsaturation = 0.2\n"


def _training(found: Found, steps: int) -> str:
    n_training = found.n_training * (
        2 / 3 if WHOLE in found.sets else 0.8 if "valid" not in found.sets else 1
    )
    batch_size = max(1, min(16, 2 ** int(math.log2(max(n_training, 8) / 8))))
    batch_size = max(batch_size, min(4, int(n_training)))
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(steps * batch_size / n_training)))
    lines = ["[training]", f"epochs = {epochs}", f"batch_size = {batch_size}"]
    every = math.ceil(epochs / MOST_JUDGED)
    if every > 1:
        lines.append(_told(f"evaluate_every = {every}", "epochs from one score to the next"))
    if steps == STEPS_OF_DETECTOR:
        lines.append(_told("learning_rate = 2e-4", "low, to change what is known already a little"))
    return "\n".join(lines) + "\n"


def _told(line: str, comment: str) -> str:
    return f"{line:<36} # {comment}"


def _comment(text: str, columns: int = 118) -> list[str]:
    lines, line = [], "#"
    # A comment of TOML may hold no control character, and a class may be called anything.
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    for word in text.split():
        if len(line) + 1 + len(word) > columns:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line]


def _levels(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in values)


def _toml(value: str | list[str]) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return tomli_w.dumps({"": value}).partition(" = ")[2].rstrip("\n")
