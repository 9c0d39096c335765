"""Does this copy of a model, on this machine, still answer as it did when it was exported?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.runtime.contract.contract import Probe
from tombola.runtime.load import ModelSource, load
from tombola.runtime.tasks.classify.model import Classifier
from tombola.runtime.tasks.detect.answer import Detections
from tombola.runtime.tasks.detect.model import Detector

# The most that an answer may differ, by what it is counted in.
DETECT_TOLERANCES = {"px": 0.1, "score": 1e-3}
CLASSIFY_TOLERANCES = {"probability": 1e-3}


@dataclass(frozen=True)
class ProbeResult:
    """How one probe's answer differs from the expected one.

    expected, found: the two answers in short, a count of boxes for instance.
    differences: the largest ones, under the keys of `VerifyReport.tolerances`; NaN where the answers cannot
    be compared number by number.
    problem: what is wrong, in words; empty where the answer agrees.
    """

    size_hw: tuple[int, int]
    expected: str
    found: str
    differences: Mapping[str, float]
    problem: str


@dataclass(frozen=True)
class VerifyReport:
    """The outcome over all probes. `ok` is False where one differs, and where the file carries none.

    tolerances: the most allowed, under "px" and "score" for boxes, under "probability" for classes.
    """

    device: str
    device_note: str
    tolerances: Mapping[str, float]
    probes: tuple[ProbeResult, ...]

    @property
    def ok(self) -> bool:
        """Whether there are probes and every answer agrees."""
        return bool(self.probes) and not any(probe.problem for probe in self.probes)


def verify(model: ModelSource, device: str = "auto") -> VerifyReport:
    """Run the probes a file carries and compare with the answers it expects.

    Wanted of a detector: the same count and labels, boxes within 0.1 px, scores within 1e-3; of a classifier:
    each probability within 1e-3. All are multiplied by `probe_tolerance` of the card, where the file's maker
    widened them.
    Raises ModelError and DeviceError as `load` does; a differing answer is told in the report, not raised.
    """
    loaded = load(model, device)
    factor = float(loaded.contract.card.get("probe_tolerance", 1))
    known = DETECT_TOLERANCES if isinstance(loaded, Detector) else CLASSIFY_TOLERANCES
    tolerances = {unit: factor * most for unit, most in known.items()}
    return VerifyReport(
        device=loaded.device,
        device_note=loaded.device_note,
        tolerances=tolerances,
        probes=tuple(
            _check_boxes(loaded, probe, tolerances)
            if isinstance(loaded, Detector)
            else _check_probabilities(loaded, probe, tolerances)
            for probe in loaded.contract.probes
        ),
    )


def _check_boxes(detector: Detector, probe: Probe, tolerances: Mapping[str, float]) -> ProbeResult:
    found = detector(probe.png)
    boxes_xyxy = np.array(probe.expected["boxes"], np.float64).reshape(-1, 4)
    scores = np.array(probe.expected["scores"], np.float64)
    labels = np.array(probe.expected["labels"], np.int64)
    box_difference_px = score_difference = float("nan")
    problem = ""
    order = _pair(found, boxes_xyxy, labels)
    if len(found) != len(scores):
        problem = f"{len(scores)} boxes expected, {len(found)} found"
    elif order is None:
        problem = f"labels {sorted(labels.tolist())} expected, {sorted(found.labels.tolist())} found"
    else:
        box_difference_px = float(np.abs(found.boxes_xyxy[order] - boxes_xyxy).max(initial=0.0))
        score_difference = float(np.abs(found.scores[order] - scores).max(initial=0.0))
        if box_difference_px > tolerances["px"]:
            problem = f"a box is {box_difference_px:.3g} px off, {tolerances['px']:g} allowed"
        elif score_difference > tolerances["score"]:
            problem = f"a score is {score_difference:.3g} off, {tolerances['score']:g} allowed"
    return ProbeResult(
        size_hw=found.size_hw,
        expected=str(len(scores)),
        found=str(len(found)),
        differences={"px": box_difference_px, "score": score_difference},
        problem=problem,
    )


def _pair(found: Detections, boxes_xyxy: NDArray[np.float64], labels: NDArray[np.int64]) -> list[int] | None:
    """For each expected box the index of the nearest found one of its label, each used once; None if none is.

    Not by rank: two scores that are nearly equal may change places on another processor.
    """
    unused = list(range(len(found)))
    order = []
    for box, label in zip(boxes_xyxy, labels, strict=True):
        candidates = [index for index in unused if found.labels[index] == label]
        if not candidates:
            return None
        nearest = min(candidates, key=lambda index: float(np.abs(found.boxes_xyxy[index] - box).max()))
        unused.remove(nearest)
        order.append(nearest)
    return order


def _check_probabilities(
    classifier: Classifier, probe: Probe, tolerances: Mapping[str, float]
) -> ProbeResult:
    # By class and not by rank, so that a tie that another processor breaks otherwise is no difference.
    found = classifier(probe.png)
    expected = np.array(probe.expected["probabilities"], np.float64)
    off = np.abs(found.probabilities - expected)
    worst, best = int(off.argmax()), int(expected.argmax())
    problem = ""
    if off[worst] > tolerances["probability"]:
        problem = (
            f"the probability of {found.labels[worst]!r} is {off[worst]:.3g} off, "
            f"{tolerances['probability']:g} allowed"
        )
    return ProbeResult(
        size_hw=found.size_hw,
        expected=f"{found.labels[best]} {expected[best]:.3f}",
        found=f"{found.name} {found.probability:.3f}",
        differences={"probability": float(off[worst])},
        problem=problem,
    )
