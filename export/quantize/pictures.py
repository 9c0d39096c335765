"""Real pictures, or latents, between whose extremes a network's activations lie."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tombola.errors import ExportError
from tombola.runtime.contract.contract import Contract
from tombola.runtime.pictures.picture import Picture, decode
from tombola.runtime.tasks.difference import Arrays
from tombola.train.data.labels import classify_formats
from tombola.train.data.labels.idx import is_idx, read_idx
from tombola.train.data.pictures.pictures import open_pictures
from tombola.train.data.pictures.pixels import ArrayPixels
from tombola.train.evaluate import Named, Split, open_set

# More of them change nothing that could be measured; with a handful, chance decides.
WANTED, FEWEST = 64, 8
DRAWN = 512  # of latents, which cost nothing

Source = Path | Named | Split


def calibration_feeds(source: Source | None, contract: Contract, count: int = WANTED) -> list[Arrays]:
    """The inputs of `count` pictures, evenly spread over the source, as the file's graph gets them; of a
    generator DRAWN latents, of all classes in turn, and of one that encodes, where a source is given, its
    pictures besides.

    source: a folder, .tar, idx file or CIFAR batches, labelled or not; or a labelled set. Raises ExportError
    for a file that takes no picture, none or fewer than FEWEST pictures; DataError and PictureError for what
    cannot be read.
    """
    is_generator = "latent_size" in contract.sides
    if is_generator and source is None:
        return _drawn_feeds(contract)
    if not looks(contract):
        needs = "of this generator is fitted to latents, not pictures" if is_generator else "needs pictures"
        cure = "leave --calibrate out" if is_generator else "leave it float"
        raise ExportError(f"int8 {needs}, and this model of the task {contract.task} takes none; {cure}")
    if source is None:
        raise ExportError(
            "int8 is fitted to pictures such as the network was trained on; name a folder of 64 or more"
        )
    stored, read = _open(source, contract)
    if len(stored) < FEWEST:
        raise ExportError(
            f"{_said(source)} has {len(stored)} pictures, and int8 is fitted to {FEWEST} at least, better "
            f"{WANTED}: such as the network was trained on"
        )
    count = min(count, len(stored))
    pictures = (read(stored[place * len(stored) // count]) for place in range(count))
    if is_generator:
        drawn = _drawn_feeds(contract)
        return [*drawn, *map(partial(_encoded_feeds, contract), drawn, pictures)]
    return [{**contract.example_feeds(one.size_hw), "image": one.image_rgb_u8} for one in pictures]


def looks(contract: Contract) -> bool:
    """Whether a file of the contract looks at single pictures."""
    return any(spec.name == "image" for spec in contract.signature.inputs)


def _drawn_feeds(contract: Contract) -> list[Arrays]:
    feeds, rng = contract.example_feeds((1, 1)), np.random.default_rng(0)
    latents = rng.standard_normal((DRAWN, 1, contract.sides["latent_size"]), np.float32)
    if "label" not in feeds:
        return [{**feeds, "latents": one} for one in latents]
    labels = np.arange(DRAWN).reshape(-1, 1) % len(contract.labels)
    return [{**feeds, "latents": one, "label": label} for one, label in zip(latents, labels, strict=True)]


def _encoded_feeds(contract: Contract, drawn: Arrays, picture: Picture) -> Arrays:
    """What has the latents made of the picture, of the class that the drawn ones have."""
    image = picture.image_rgb_u8
    sized = contract.example_feeds((image.shape[0], image.shape[1]))
    own = {name: drawn[name] for name in ("latents", "label") if name in drawn}
    return {**sized, **own, "image": image, "encode": np.array(1)}


def _open(source: Source, contract: Contract) -> tuple[Sequence[Any], Callable[[Any], Picture]]:
    """Names of the pictures, and what reads one by its name."""
    if isinstance(source, Path) and (source.is_dir() or source.suffix.lower() == ".tar"):
        store = open_pictures(source)
        return list(store.names()), lambda name: decode(store.read_bytes(name), name, contract.shrink)
    data: Any
    if isinstance(source, Path) and is_idx(source):
        data = ArrayPixels(read_idx(source, axes=3), str(source))
    elif isinstance(source, Path):
        data = classify_formats.load(source)
    else:
        data = open_set(contract.task, source, contract.labels)
    return range(len(data)), lambda index: data.picture(index, contract.shrink)


def _said(source: Source) -> str:
    if isinstance(source, Split):
        return f"the split {source.name} of {source.run}"
    return str(source if isinstance(source, Path) else source.pictures)
