"""What a generator is asked before it is written, and what its file carries to be asked again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tombola.export.parity.question import Options, Photo, PictureAsking, Question
from tombola.runtime.contract.contract import Contract

COUNTS = (1, 3, 64, 100)
PROBE_COUNT = 4
MOST_ENCODED = 1024 * 1024  # pixels of a picture; larger ones tell of the resize, which other tasks ask after


@dataclass(frozen=True)
class GenerateAsking:
    """Random latents in several counts; pictures too of a network that encodes, with a part missing for one
    that completes them."""

    latent_size: int
    n_labels: int
    encodes: bool
    completes: bool = False

    breaks_ties = False
    share = 0.1

    def questions(self, photos: Sequence[Photo], sizes_hw: Sequence[tuple[int, int]]) -> Sequence[Question]:
        pictures = PictureAsking().questions(photos, sizes_hw) if self.encodes else ()
        return [
            *(self._drawn("drawn", count) for count in COUNTS),
            *self._encoded(question for question in pictures if question.feeds["image"].size < MOST_ENCODED),
        ]

    def options(self, defaults: Options) -> Sequence[Options]:
        return (defaults,)

    def probes(self, photos: Sequence[Photo]) -> Sequence[Question]:
        pictures = PictureAsking().probes(photos)[:1] if self.encodes else ()
        return [self._drawn("probe", PROBE_COUNT), *self._encoded(iter(pictures))]

    def probe_options(self) -> Sequence[Options]:
        return ({},)

    def _drawn(self, name: str, count: int) -> Question:
        image = np.zeros((1, 1, 3), np.uint8)
        latents = np.random.default_rng(count).standard_normal((count, self.latent_size), np.float32)
        return Question(name, self._feeds(latents, image, encode=0))

    def _encoded(self, questions: Iterator[Question]) -> Iterator[Question]:
        for question in questions:
            latents = np.zeros((min(2, self.n_labels or 1), self.latent_size), np.float32)
            yield Question(question.name, self._feeds(latents, question.feeds["image"], encode=1))

    def _feeds(
        self, latents: NDArray[np.float32], image: NDArray[np.uint8], *, encode: int
    ) -> dict[str, NDArray[Any]]:
        label = {"label": np.arange(len(latents)) % self.n_labels} if self.n_labels else {}
        picture = {"image": image, "encode": np.array(encode)} if self.encodes else {}
        # The left third of it.
        part = {"missing": np.zeros(image.shape[:2], np.uint8)} if self.completes else {}
        for missing in part.values():
            missing[:, : image.shape[1] // 3] = 255
        return {"latents": latents, **label, **picture, **part}


def asking_of(contract: Contract) -> GenerateAsking:
    """What a file that was written may be asked."""
    n_labels = len(contract.labels) if "label" in contract.more_inputs else 0
    more = contract.more_inputs
    return GenerateAsking(contract.sides["latent_size"], n_labels, "encode" in more, "missing" in more)
