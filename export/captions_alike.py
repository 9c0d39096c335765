"""A captioner's file beside its network in PyTorch, on the same pictures: in words, scores and time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

import torch

from tombola.runtime.load import load
from tombola.train.networks.caption.search import Options
from tombola.train.tasks.caption.task import caption_maps, load_split, maps_of, see, source_of
from tombola.train.tasks.table import load_network

BEAMS = (1, 3, 5)
T = TypeVar("T")


@dataclass(frozen=True)
class Alike:
    """With so many beams: how many of the captions are the same word for word, how far the scores of those
    are apart at most, and median milliseconds of the file, of PyTorch, and of the file for one word of one
    beam, which is the encoder and a step."""

    beam: int
    same: int
    pictures: int
    apart: float
    file_ms: float
    torch_ms: float
    one_word_ms: float


def compare_captions(run: Path, model_file: Path, pictures: int) -> Iterator[Alike]:
    """For each number of beams, on that many of the run's test pictures or clips, evenly taken; on one
    thread, in turns. Raises TombolaError for what cannot be read, or is no captioner."""
    torch.set_num_threads(1)
    captioner = load(model_file, "cpu", threads=1, task="caption")
    network, recipe = load_network(run)
    asked, picture_input = recipe.answer, recipe.picture.as_input()
    data = load_split(recipe, "test")
    count = min(pictures, len(data))
    places = [place * len(data) // count for place in range(count)]
    sources = [source_of(data, place, recipe.picture) for place in places]
    for beam in BEAMS:
        options = Options.of(beam, asked.max_length, asked.length_power, asked.no_repeat)
        same, apart = 0, 0.0
        times_ms: list[tuple[float, float, float]] = []
        for source in sources:
            said, file_ms = _timed(lambda: captioner(source, beam_size=beam))  # noqa: B023
            with torch.inference_mode():
                found, torch_ms = _timed(
                    lambda: caption_maps(
                        network,
                        maps_of(network, see(source, picture_input, recipe.picture.frames)),  # noqa: B023
                        options,  # noqa: B023
                    )
                )
            _, one_word_ms = _timed(lambda: captioner(source, beam_size=1, max_length=1))  # noqa: B023
            times_ms.append((file_ms, torch_ms, one_word_ms))
            words = [recipe.data.classes[token] for token in found.tokens[0, 0].tolist() if token]
            if list(said[0].words) == words:
                same += 1
                apart = max(apart, abs(said[0].score - float(found.scores[0, 0])))
        yield Alike(beam, same, count, apart, *(median(column) for column in zip(*times_ms, strict=True)))


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = perf_counter()
    done = work()
    return done, 1000 * (perf_counter() - started)
