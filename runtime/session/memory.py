"""The most memory a process held, told by a process of its own."""

import json
from pathlib import Path

from tombola.runtime.session.child import run_child
from tombola.runtime.tasks.difference import Arrays

STATUS = Path("/proc/self/status")

# Loads a model, answers once for inputs that are all zero (a black picture), prints the peak.
CHILD = """
import json
import sys
import numpy as np
from tombola.runtime.load import load
from tombola.runtime.session.memory import own_peak_mib
path, inputs, device, threads = sys.argv[1:]
model = load(path, device, int(threads) or None)
model.answer({name: np.zeros(shape, dtype) for name, (shape, dtype) in json.loads(inputs).items()})
print(own_peak_mib())
"""


def own_peak_mib() -> float | None:
    """This process's peak resident memory in MiB; None where there is no /proc.

    VmHWM, not getrusage: the latter starts at the peak of the process that forked this one.
    """
    if not STATUS.exists():
        return None
    for line in STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None


def peak_memory_mib(
    model: Path, feeds: Arrays, device: str = "auto", threads: int | None = None
) -> float | None:
    """Peak resident MiB of a fresh Python that loads `model` and answers once, to inputs as large as `feeds`.

    None where the system has no /proc; ModelError where the fresh process fails.
    """
    if not STATUS.exists():
        return None
    inputs = {name: (array.shape, array.dtype.name) for name, array in feeds.items()}
    arguments = [str(model), json.dumps(inputs), device, str(threads or 0)]
    return float(run_child(CHILD, *arguments, name=str(model)))
