"""Probes: small questions with the answers the file gave when it was made, for `tombola verify`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from tombola.errors import ExportError
from tombola.export.graph.walk import walk
from tombola.export.parity.parity import answer
from tombola.export.parity.question import Asking, Options, Photo, Question
from tombola.runtime.contract.contract import Contract, Probe
from tombola.runtime.tasks.difference import Arrays
from tombola.runtime.tasks.table import TASKS
from tombola.train.run.folder import write_atomic

# A probe must not hang on a hair: with all weights moved by so much, it must still find the same things.
_NUDGE = 1e-4


@dataclass(frozen=True)
class Steadiness:
    """When an answer is one to compare others with. share: of what may differ on another processor, the part
    that may differ between two ways of computing on this one; most_tolerance: what both are widened by at
    most, for a ruined file must not pass."""

    share: float
    most_tolerance: float


EXACT = Steadiness(0.1, 1.0)
# Bytes are rounded in each layer; but their sums are whole numbers, which all processors add up alike.
OF_BYTES = Steadiness(0.5, 30.0)


def make_probes(
    model: onnx.ModelProto, task: str, asking: Asking, photos: Sequence[Photo]
) -> tuple[Probe, ...]:
    """A probe for each of `photos` (image_rgb_u8 [h, w, 3]), made small; of drawn pictures without them.

    Raises ExportError where there is nothing to compare: then no copy of the file could ever be told from a
    ruined one.
    """
    return _make(model, task, asking, [[question] for question in asking.probes(photos)], EXACT)[0]


def make_wide_probes(
    model: onnx.ModelProto, task: str, asking: Asking, photos: Sequence[Photo]
) -> tuple[tuple[Probe, ...], float]:
    """The same for a file that rounds, and the `probe_tolerance` that it needs, 1 or more. A photo that gives
    no steady answer is mirrored, and then made smaller."""
    groups = [asking.probes([photo, photo[:, ::-1], photo[::2, ::2]]) for photo in photos]
    return _make(model, task, asking, groups or [[one] for one in asking.probes(())], OF_BYTES)


def _make(
    model: onnx.ModelProto,
    task: str,
    asking: Asking,
    groups: Sequence[Sequence[Question]],
    steadiness: Steadiness,
) -> tuple[tuple[Probe, ...], float]:
    """A probe of the first question of each group that has a steady answer, and the tolerance of them all."""
    plain = open_session(model)
    others = [open_session(model, optimised=False), open_session(_nudged(model))]
    probes = []
    compared, tolerance = 0, 1.0
    for group in groups:
        for question, options in product(group, asking.probe_options()):
            needed = _needed_tolerance(plain, others, task, question, options, steadiness.share)
            if needed <= steadiness.most_tolerance:
                found = answer(plain, task, question, options)
                compared += TASKS[task].yardstick.count(found)
                tolerance = max(tolerance, needed)
                probes.append(make_probe(question.feeds, options, found))
                break
    if compared == 0:
        raise ExportError(
            f"on none of the probe pictures does the network give {TASKS[task].yardstick.counted} that "
            "another machine could be compared with: it finds nothing, or its answers hang on the last "
            "digit; train it before you export it, or give photos of what it knows by --photo."
        )
    return tuple(probes), math.ceil(tolerance)


def make_probe(feeds: Arrays, options: Options, expected: Arrays) -> Probe:
    """Named inputs and outputs as a probe: `image` uint8 [h, w, 3] RGB as PNG, the others as lists."""
    png = b""
    if "image" in feeds:
        done, encoded = cv2.imencode(".png", cv2.cvtColor(feeds["image"], cv2.COLOR_RGB2BGR))
        assert done
        png = encoded.tobytes()
    others = {name: array.tolist() for name, array in feeds.items() if name != "image"}
    return Probe(png, {name: array.tolist() for name, array in expected.items()}, {**others, **options})


def renew_probes(file: Path, asking: Asking, photos: Sequence[Photo]) -> Contract:
    """Give a contract file new probes, of `photos` and its own answers; all else in it stays as it is.

    For files whose weights were changed after their export, and for those of earlier versions, whose probes
    hold too little to compare. Returns the new contract; ExportError as `make_probes` raises it.
    """
    model = onnx.load(file)
    contract = Contract.from_metadata({entry.key: entry.value for entry in model.metadata_props})
    contract = replace(contract, probes=make_probes(model, contract.task, asking, photos))
    onnx.helper.set_model_props(model, contract.to_metadata())
    write_atomic(file, model.SerializeToString(deterministic=True))
    return contract


def open_session(model: onnx.ModelProto, *, optimised: bool = True) -> ort.InferenceSession:
    """The model on the CPU, as it is or node by node."""
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of every optional input
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _needed_tolerance(
    plain: ort.InferenceSession,
    others: Sequence[ort.InferenceSession],
    task: str,
    question: Question,
    options: Options,
    share: float,
) -> float:
    """How much wider than usual `verify` must allow for the answer if it may come out as it does when it is
    computed otherwise; infinite if there is none, or nudged weights tip a choice in it."""
    yardstick = TASKS[task].yardstick
    wanted = answer(plain, task, question, options)
    unoptimised, nudged = (
        yardstick.differences(answer(other, task, question, options), wanted, share) for other in others
    )
    if yardstick.count(wanted) == 0 or unoptimised is None or nudged is None:
        return math.inf
    wider = [one.value / one.allowed for one in unoptimised]
    return math.inf if any(map(math.isnan, wider)) else max(wider, default=1.0)


def _nudged(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose weights are each off by a little, the same at every call."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    rng = np.random.default_rng(0)
    for graph in walk(other.graph):
        for tensor in graph.initializer:
            values = numpy_helper.to_array(tensor)
            if tensor.name.endswith(".weight") and values.dtype.kind == "f":
                moved = values * (1 + _NUDGE * rng.standard_normal(values.shape))
                tensor.CopyFrom(numpy_helper.from_array(moved.astype(values.dtype), tensor.name))
    return other
