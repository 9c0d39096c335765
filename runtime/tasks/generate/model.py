"""A loaded generator: random numbers in, pictures out; where it encodes, pictures in and latents out."""

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import ModelError
from tombola.runtime.model import Model
from tombola.runtime.pictures.picture import MAX_PIXELS, PictureSource, read_picture
from tombola.runtime.tasks.difference import Arrays
from tombola.runtime.tasks.generate.answer import Generated
from tombola.runtime.tasks.generate.latents import draw
from tombola.runtime.tasks.generate.signature import check_pictures

AT_ONCE = 256  # pictures of one call: more are no faster, and take more memory
MOST_TEMPERATURE = 1000

# The class of pictures, or of each of them: its name or its number.
Label = str | int | Sequence[str | int]


class Generator(Model):
    """Makes pictures. Make one with `tombola.load`."""

    @property
    def latent_size(self) -> int:
        """How many numbers a picture is made of."""
        return self.contract.sides["latent_size"]

    @property
    def is_conditional(self) -> bool:
        """Whether it makes pictures of a class that it is told, one of `labels`."""
        return "label" in self.contract.more_inputs

    @property
    def can_encode(self) -> bool:
        """Whether it also finds the latents of a picture."""
        return "encode" in self.contract.more_inputs

    @property
    def can_complete(self) -> bool:
        """Whether it also fills in what a picture lacks."""
        return "missing" in self.contract.more_inputs

    def __call__(
        self, source: PictureSource, *, bgr: bool = False, max_pixels: int = MAX_PIXELS
    ) -> Generated:
        """`reconstruct` a picture."""
        return self.reconstruct(source, bgr=bgr, max_pixels=max_pixels)

    def sample(
        self, count: int = 1, *, label: Label | None = None, seed: int = 0, temperature: float = 1.0
    ) -> Generated:
        """Make pictures of random numbers; the same ones of the same seed.

        label: the class of all, or one for each; None is all classes in turn. temperature: factor on the
        random numbers: less than 1 is more usual, and less varied.
        ModelError for a count below 1, a class that the model has not, or one where it knows none.
        """
        return join(list(self.samples(count, label=label, seed=seed, temperature=temperature)))

    def samples(
        self, count: int, *, label: Label | None = None, seed: int = 0, temperature: float = 1.0
    ) -> Iterator[Generated]:
        """The same, up to 256 pictures at a time, for any number of them in bounded memory."""
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
            raise ModelError(f"count: {count!r} must be a whole number of 1 or more.")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ModelError(f"seed: {seed!r} must be a whole number of 0 or more.")
        if not 0 <= temperature <= MOST_TEMPERATURE:
            raise ModelError(f"temperature: {temperature!r} must be a number from 0 to {MOST_TEMPERATURE}.")
        turns, done = self._turns(label, count), 0
        for latents in draw(seed, self.latent_size, count, AT_ONCE):
            yield self._decode(latents * np.float32(temperature), _some(turns, done, len(latents)))
            done += len(latents)

    def decode(self, latents: NDArray[np.floating], *, label: Label | None = None) -> Generated:
        """Make pictures of these latents, [n, latent_size] or one [latent_size].

        ModelError for another shape, for numbers that are not finite, and for labels as `sample` has it.
        """
        return join(list(self.decodings(latents, label=label)))

    def decodings(self, latents: NDArray[np.floating], *, label: Label | None = None) -> Iterator[Generated]:
        """The same, up to 256 pictures at a time, for any number of latents in bounded memory."""
        given = np.asarray(latents)
        given = given[None] if given.ndim == 1 else given
        if given.ndim != 2 or given.shape[1] != self.latent_size or given.dtype.kind not in "fiu":
            raise ModelError(
                f"latents must be numbers [n, {self.latent_size}], but are {given.dtype} {list(given.shape)}."
            )
        parts = [given[at : at + AT_ONCE] for at in range(0, len(given), AT_ONCE)]
        if not parts or not all(np.isfinite(_float32(part)).all() for part in parts):
            raise ModelError(
                "latents must be one row or more of finite float32 numbers; NaN or infinity is none."
            )
        turns = self._turns(label, len(given))
        for number, part in enumerate(parts):
            yield self._decode(_float32(part), _some(turns, number * AT_ONCE, len(part)))

    def encode(
        self,
        source: PictureSource,
        *,
        label: str | int | None = None,
        bgr: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> NDArray[np.float32]:
        """The latents float32 [latent_size] of a picture; arguments and errors as of `reconstruct`."""
        found = self.reconstruct(source, label=label, bgr=bgr, max_pixels=max_pixels)
        return np.array(found.latents[0])

    def reconstruct(
        self,
        source: PictureSource,
        *,
        label: str | int | None = None,
        missing: PictureSource | None = None,
        bgr: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> Generated:
        """Encode a picture and decode its latents: what the model keeps of it.

        source: a path, the bytes of a picture file, an array uint8 [height, width, 3] or a picture of
        Pillow's, of any size. label: its class; None is the one whose reconstruction is nearest.
        missing: a picture of the same size, light where the other is to be filled in. bgr: arrays are BGR
        instead of RGB. max_pixels: refuse picture files with more.
        ModelError where the model does not encode, or fill in, or sizes differ; PictureError (the picture).
        """
        if not self.can_encode:
            raise ModelError(
                "this model makes pictures of latents and cannot encode one; an autoencoder, or a vae, can."
            )
        picture = read_picture(source, self.shrink, bgr=bgr, max_pixels=max_pixels)
        if self.can_complete or missing is not None:
            return self._complete(picture.image_rgb_u8, missing, max_pixels)
        if not self.is_conditional:
            return self._encode(picture.image_rgb_u8, None)
        if label is not None:
            return self._encode(picture.image_rgb_u8, self._turns(label, 1))
        every = self._encode(picture.image_rgb_u8, np.arange(len(self.labels)))
        return _only(every, int(np.argmin(_distances(every, picture.image_rgb_u8))))

    def variations(
        self,
        source: PictureSource,
        count: int = 8,
        *,
        spread: float = 0.5,
        label: str | int | None = None,
        seed: int = 0,
        missing: PictureSource | None = None,
        bgr: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> Generated:
        """The reconstruction of a picture and `count` pictures near it.

        spread: 0..1, the share of random numbers in their latents: √(1 - spread²) of the picture's and
        spread of noise, so that at 1 nothing is left of it. The rest is as of `reconstruct`.
        """
        if not 0 <= spread <= 1:
            raise ModelError(f"spread: {spread!r} must be a number from 0 to 1.")
        first = self.reconstruct(source, label=label, missing=missing, bgr=bgr, max_pixels=max_pixels)
        if count < 1:
            return first
        noise = np.concatenate(list(draw(seed, self.latent_size, count, AT_ONCE)))
        near = np.float32((1 - spread**2) ** 0.5) * first.latents + np.float32(spread) * noise
        return join([first, self.decode(near, label=None if first.names is None else first.names[0])])

    def answer(self, feeds: Arrays) -> Generated:
        label = feeds.get("label")
        return self._answer(feeds, None if label is None else np.asarray(label, np.int64))

    def _turns(self, label: Label | None, count: int) -> NDArray[np.int64] | None:
        """The classes that `count` pictures take in turn; None where the model knows none."""
        if not self.is_conditional:
            if label is not None:
                raise ModelError(f"label: {label!r} is given, but this model knows no classes; leave it out.")
            return None
        if label is None:
            return np.arange(len(self.labels))
        wanted = [label] if isinstance(label, str | int | np.integer) else list(label)
        if len(wanted) not in (1, count):
            raise ModelError(
                f"label: {len(wanted)} are given for {count} pictures; give one, or one for each."
            )
        return np.array([self._number(one) for one in wanted], np.int64)

    def _number(self, label: str | int) -> int:
        if isinstance(label, str) and label in self.labels:
            return self.labels.index(label)
        if (
            isinstance(label, int | np.integer)
            and not isinstance(label, bool)
            and 0 <= label < len(self.labels)
        ):
            return int(label)
        numbers = "" if isinstance(label, str) else f" (0 to {len(self.labels) - 1})"
        raise ModelError(
            f"label: {label!r} is none of the model's classes: {', '.join(self.labels)}{numbers}."
        )

    def _decode(self, latents: NDArray[np.float32], labels: NDArray[np.int64] | None) -> Generated:
        unread: Arrays = {
            "image": np.zeros((1, 1, 3), np.uint8),
            "encode": np.array(0, np.int64),
            "missing": np.zeros((1, 1), np.uint8),
        }
        asked = {spec.name for spec in self.contract.signature.inputs}
        return self._answer({"latents": latents} | {k: v for k, v in unread.items() if k in asked}, labels)

    def _encode(self, image_rgb_u8: NDArray[np.uint8], labels: NDArray[np.int64] | None) -> Generated:
        count = 1 if labels is None else len(labels)
        latents = np.zeros((count, self.latent_size), np.float32)
        feeds: Arrays = {"latents": latents, "image": image_rgb_u8, "encode": np.array(1, np.int64)}
        return self._answer(feeds, labels)

    def _complete(
        self, image_rgb_u8: NDArray[np.uint8], missing: PictureSource | None, max_pixels: int
    ) -> Generated:
        if not self.can_complete:
            raise ModelError(
                "this model cannot fill in what a picture lacks; a linear_gaussian or a gaussian_mrf can."
            )
        lacks = np.zeros(image_rgb_u8.shape[:2], np.uint8)
        if missing is not None:
            mask_rgb_u8 = read_picture(missing, self.shrink, max_pixels=max_pixels).image_rgb_u8
            if mask_rgb_u8.shape != image_rgb_u8.shape:
                raise ModelError(
                    f"the mask is {mask_rgb_u8.shape[1]}×{mask_rgb_u8.shape[0]} pixels and the picture "
                    f"{image_rgb_u8.shape[1]}×{image_rgb_u8.shape[0]}; give one of the same size."
                )
            lacks[mask_rgb_u8.mean(2) > 127] = 255
        feeds: Arrays = {"latents": np.zeros((1, self.latent_size), np.float32), "image": image_rgb_u8}
        return self._answer({**feeds, "encode": np.array(1, np.int64), "missing": lacks}, None)

    def _answer(self, feeds: Arrays, labels: NDArray[np.int64] | None) -> Generated:
        found = self.outputs(feeds if labels is None else {**feeds, "label": labels})
        check_pictures(found, len(self.labels))
        names = None if labels is None else tuple(self.labels[label] for label in labels)
        return Generated(found["images"], found["codes"], names)


def _some(turns: NDArray[np.int64] | None, start: int, count: int) -> NDArray[np.int64] | None:
    """The classes of `count` pictures from number `start` on, of those that all take in turn."""
    return None if turns is None else turns[np.arange(start, start + count) % len(turns)]


def _float32(latents: NDArray[Any]) -> NDArray[np.float32]:
    """What is too large becomes infinity."""
    with np.errstate(over="ignore"):
        return latents.astype(np.float32)


def join(parts: Sequence[Generated]) -> Generated:
    """All pictures of one model, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    return Generated(
        np.concatenate([part.images_u8 for part in parts]),
        np.concatenate([part.latents for part in parts]),
        None if parts[0].names is None else tuple(name for part in parts for name in part.names or ()),
    )


def _only(generated: Generated, place: int) -> Generated:
    names = generated.names and (generated.names[place],)
    return Generated(
        generated.images_u8[place : place + 1].copy(), generated.latents[place : place + 1].copy(), names
    )


def _distances(generated: Generated, image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean squared difference of each picture from the one given, brought to their size."""
    height, width = generated.size_hw
    seen = np.asarray(cv2.resize(image_rgb_u8, (width, height), interpolation=cv2.INTER_AREA), np.float64)
    wanted = seen if generated.images_u8.shape[3] == 3 else seen.mean(2, keepdims=True)
    return np.asarray(np.square(generated.images_u8 - wanted).mean((1, 2, 3)))
