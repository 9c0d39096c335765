"""The tasks that the runtime knows: what is different from task to task, a row for each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tombola.runtime.model import Model
from tombola.runtime.tasks.caption.compare import CaptionYardstick
from tombola.runtime.tasks.caption.model import Captioner
from tombola.runtime.tasks.caption.signature import CAPTION, check_captions
from tombola.runtime.tasks.classify.compare import ClassifyYardstick
from tombola.runtime.tasks.classify.model import Classifier
from tombola.runtime.tasks.classify.signature import CLASSIFY, check_probabilities
from tombola.runtime.tasks.detect.compare import DetectYardstick
from tombola.runtime.tasks.detect.model import Detector
from tombola.runtime.tasks.detect.signature import DETECT, check_detections
from tombola.runtime.tasks.difference import Arrays, Yardstick
from tombola.runtime.tasks.generate.compare import GenerateYardstick
from tombola.runtime.tasks.generate.model import Generator
from tombola.runtime.tasks.generate.signature import GENERATE, check_pictures
from tombola.runtime.tasks.signature import Signature


@dataclass(frozen=True)
class Task:
    """One task, as contract, loading, verify and the measuring tools see it.

    signature:     the tensors of its graph, and whether its files name labels or words.
    check_answer:  ModelError unless named arrays are an answer to a file with so many labels.
    model:         what a loaded file of the task becomes: made of its Session, its Contract and what loads it
                   again.
    yardstick:     how two answers are compared.
    example_feeds: every input that a file of the signature given may have to be fed, with plausible values; a
                   picture of the size (height, width) given, for tasks that take one.
    """

    signature: Signature
    check_answer: Callable[[Arrays, int], None]
    model: Callable[..., Model]
    yardstick: Yardstick
    example_feeds: Callable[[tuple[int, int], Signature], Arrays]


SHEET = 64  # pictures of a generator that are asked for at once


def noise_picture(size_hw: tuple[int, int], _: Signature | None = None) -> Arrays:
    """Feeds of a task that takes one picture and nothing else: noise, the same at every call."""
    return {"image": np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)}


def noise_picture_and_clip(size_hw: tuple[int, int], _: Signature) -> Arrays:
    """Feeds of tasks that look at pictures or at clips: noise, and eight frames of it."""
    frames = np.random.default_rng(0).integers(0, 256, (8, *size_hw, 3), np.uint8)
    return {**noise_picture(size_hw), "frames": frames}


def noise_and_boxes(size_hw: tuple[int, int], _: Signature) -> Arrays:
    """Feeds of a detector: noise and, for files that are given proposals, some boxes in it."""
    rng = np.random.default_rng(0)
    corners = np.sort(rng.random((2, 300, 2)), axis=0) * [size_hw[1], size_hw[0]]
    return {
        **noise_picture(size_hw),
        "proposals": np.concatenate(list(corners), axis=1).astype(np.float32),
    }


def noise_latents(size_hw: tuple[int, int], signature: Signature) -> Arrays:
    """Feeds of a generator: latents of as many pictures as a sheet has, labels, and for files that encode a
    picture, which is left alone."""
    shape = signature.inputs[0].shape
    assert shape is not None
    rng = np.random.default_rng(0)
    return {
        **noise_picture(size_hw),
        "latents": rng.standard_normal((SHEET, int(shape[1])), np.float32),
        "label": np.zeros(SHEET, np.int64),
        "encode": np.array(0, np.int64),
        "missing": np.zeros(size_hw, np.uint8),
    }


TASKS = {
    "detect": Task(DETECT, check_detections, Detector, DetectYardstick(), noise_and_boxes),
    "classify": Task(CLASSIFY, check_probabilities, Classifier, ClassifyYardstick(), noise_picture_and_clip),
    "generate": Task(GENERATE, check_pictures, Generator, GenerateYardstick(), noise_latents),
    "caption": Task(CAPTION, check_captions, Captioner, CaptionYardstick(), noise_picture_and_clip),
}
