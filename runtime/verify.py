"""Does this copy of a model, on this machine, still answer as it did when it was exported?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tombola.runtime.contract import Probe
from tombola.runtime.detections import Detections
from tombola.runtime.detector import Detector
from tombola.runtime.load import ModelSource, load

BOX_TOLERANCE_PX = 0.1
SCORE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class ProbeResult:
    """How one probe's answer differs from the expected one.

    problem: what is wrong, in words; empty where the answer agrees. The differences are the largest ones, in
    picture pixels and in score units, and NaN where counts or labels already differ.
    """

    size_hw: tuple[int, int]
    expected_count: int
    found_count: int
    box_difference_px: float
    score_difference: float
    problem: str


@dataclass(frozen=True)
class VerifyReport:
    """The outcome over all probes. `ok` is False where one differs, and where the file carries none."""

    device: str
    device_note: str
    box_tolerance_px: float
    score_tolerance: float
    probes: tuple[ProbeResult, ...]

    @property
    def ok(self) -> bool:
        """Whether there are probes and every answer agrees."""
        return bool(self.probes) and not any(probe.problem for probe in self.probes)


def verify(model: ModelSource, device: str = "auto") -> VerifyReport:
    """Run the probes a file carries and compare with the answers it expects.

    Wanted: the same count and labels, boxes within 0.1 px, scores within 1e-3. Both tolerances are multiplied
    by `probe_tolerance` of the card, where the file's maker widened them.
    Raises ModelError and DeviceError as `load` does; a differing answer is told in the report, not raised.
    """
    detector = load(model, device)
    factor = float(detector.contract.card.get("probe_tolerance", 1))
    box_tolerance_px, score_tolerance = BOX_TOLERANCE_PX * factor, SCORE_TOLERANCE * factor
    return VerifyReport(
        device=detector.device,
        device_note=detector.device_note,
        box_tolerance_px=box_tolerance_px,
        score_tolerance=score_tolerance,
        probes=tuple(
            _check_probe(detector, probe, box_tolerance_px, score_tolerance)
            for probe in detector.contract.probes
        ),
    )


def _check_probe(
    detector: Detector, probe: Probe, box_tolerance_px: float, score_tolerance: float
) -> ProbeResult:
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
        if box_difference_px > box_tolerance_px:
            problem = f"a box is {box_difference_px:.3g} px off, {box_tolerance_px:g} allowed"
        elif score_difference > score_tolerance:
            problem = f"a score is {score_difference:.3g} off, {score_tolerance:g} allowed"
    return ProbeResult(
        size_hw=found.size_hw,
        expected_count=len(scores),
        found_count=len(found),
        box_difference_px=box_difference_px,
        score_difference=score_difference,
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
