"""Does this copy of a model, on this machine, still answer as it did when it was exported?"""

import json
import os
from dataclasses import dataclass

from tombola.errors import ModelError
from tombola.runtime.contract.contract import Probe
from tombola.runtime.load import ModelSource, load
from tombola.runtime.model import Model
from tombola.runtime.pictures.picture import read_rgb
from tombola.runtime.session.child import run_child
from tombola.runtime.tasks.difference import Arrays, Difference
from tombola.runtime.tasks.signature import Signature
from tombola.runtime.tasks.table import TASKS

MOST_SECONDS = 600.0

CHILD = """
import json
from dataclasses import asdict
from tombola.runtime.verify import verify
print(json.dumps(asdict(verify(*sys.argv[1:]))))
"""


@dataclass(frozen=True)
class ProbeResult:
    """How one probe's answer differs from the expected one.

    question: what was asked, the size of a picture for instance.
    expected, found: the two answers in short, a count of boxes for instance.
    count: how many things (boxes, probabilities) were compared.
    differences: the largest of each kind, and how much is allowed; empty where the answers cannot be compared
    number by number.
    problem: what is wrong, in words; empty where the answer agrees.
    """

    question: str
    expected: str
    found: str
    count: int
    differences: tuple[Difference, ...]
    problem: str


@dataclass(frozen=True)
class VerifyReport:
    """The outcome over all probes. `ok` is False where one differs, and where nothing was compared.

    counted: what the probes' `count` counts: "boxes".
    """

    device: str
    device_note: str
    counted: str
    probes: tuple[ProbeResult, ...]

    @property
    def count(self) -> int:
        """How many things all probes compared."""
        return sum(probe.count for probe in self.probes)

    @property
    def ok(self) -> bool:
        """Whether there was something to compare and every answer agrees."""
        return self.count > 0 and not any(probe.problem for probe in self.probes)


def verify(model: ModelSource, device: str = "auto") -> VerifyReport:
    """Run the probes a file carries and compare with the answers it expects.

    What may differ is the task's to say: of a detector boxes by 0.1 px and scores by 1e-3, of a classifier
    probabilities by 1e-3; count and labels must be equal. All are multiplied by `probe_tolerance` of the
    card, where the file's maker widened them.
    Raises ModelError and DeviceError as `load` does; a differing answer is told in the report, not raised.
    """
    loaded = load(model, device)
    return VerifyReport(
        device=loaded.device,
        device_note=loaded.device_note,
        counted=TASKS[loaded.contract.task].yardstick.counted,
        probes=tuple(_check(loaded, probe) for probe in loaded.contract.probes),
    )


def verify_apart(path: str | os.PathLike[str], device: str = "auto") -> VerifyReport:
    """As `verify`, in a process of its own: a file of a stranger that crashes it is a ModelError here.

    So is one that takes more than ten minutes.
    """
    told = json.loads(run_child(CHILD, str(path), device, name=str(path), seconds=MOST_SECONDS))
    probes = (
        ProbeResult(**{**probe, "differences": tuple(Difference(**one) for one in probe["differences"])})
        for probe in told["probes"]
    )
    return VerifyReport(**{**told, "probes": tuple(probes)})


def probe_feeds(probe: Probe, signature: Signature) -> Arrays:
    """All inputs of a probe, its picture decoded: uint8 [height, width, 3] RGB."""
    picture = {"image": read_rgb(probe.png)} if probe.png else {}
    return {**picture, **probe.feeds(signature)}


def _check(model: Model, probe: Probe) -> ProbeResult:
    task, labels = TASKS[model.contract.task], model.labels
    feeds = probe_feeds(probe, model.contract.signature)
    wanted = probe.answer(model.contract.signature)
    question = _question(feeds)
    expected = task.yardstick.headline(wanted, labels)
    found = model.outputs(feeds)
    try:
        task.check_answer(found, len(labels))
    except ModelError as error:
        return ProbeResult(question, expected, "none", 0, (), str(error))
    factor = float(model.contract.card.get("probe_tolerance", 1))
    differences = task.yardstick.differences(found, wanted, factor)
    if differences is None:
        problem = f"{task.yardstick.describe(wanted)} expected, {task.yardstick.describe(found)} found"
    else:
        problem = ", ".join(str(one) for one in differences if not one.is_small)
    return ProbeResult(
        question=question,
        expected=expected,
        found=task.yardstick.headline(found, labels),
        count=task.yardstick.count(wanted),
        differences=differences or (),
        problem=f"off: {problem}" if problem and differences else problem,
    )


def _question(feeds: Arrays) -> str:
    """The size of the picture, or of whatever else is asked, as width×height."""
    largest = max(feeds.values(), key=lambda array: array.size)
    sides = feeds["image"].shape[:2] if "image" in feeds else largest.shape
    return "×".join(map(str, reversed(sides))) or "1"
