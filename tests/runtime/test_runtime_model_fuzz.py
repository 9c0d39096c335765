"""Two thousand spoilt models, loaded and asked: an answer or an error of ours, soon and in little memory."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

MODELS = Path(__file__).parents[2] / "runtime" / "models"
MOST_SECONDS, MOST_MIB = 2, 1024
CHUNK = 100

# Spoils, loads and asks the models of a range of seeds, and prints a line before and after each.
CHILD = """
import resource, signal, sys
from pathlib import Path
import numpy as np
import onnx
import tombola

files = [Path(name).read_bytes() for name in sys.argv[5:]]
first, last, seconds, mib = map(int, sys.argv[1:5])
image_rgb_u8 = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def flip(data, rng):
    # Half of the places near an end: there stands the structure, and numbers in between.
    for _ in range(rng.integers(1, 4)):
        place = rng.integers(len(data)) if rng.random() < 0.5 else rng.integers(min(len(data), 4000))
        data[place if rng.random() < 0.5 else -1 - place] = rng.integers(256)
    return bytes(data)


def cut(data, rng):
    start, end = sorted(rng.integers(len(data) + 1, size=2))
    return bytes(data[:start]) if rng.random() < 0.5 else bytes(data[:start] + data[end:])


def rewire(data, rng):
    model = onnx.load_from_string(bytes(data))
    nodes = model.graph.node
    for _ in range(rng.integers(1, 3)):
        node, other = (nodes[rng.integers(len(nodes))] for _ in range(2))
        match rng.integers(8):
            case 0:
                nodes.add().CopyFrom(node)
            case 1:
                nodes.remove(node)
            case 2:
                node.op_type = other.op_type
            case 3 if node.input and other.input:
                node.input[rng.integers(len(node.input))] = other.input[rng.integers(len(other.input))]
            case 4 if node.input and other.output:
                node.input[rng.integers(len(node.input))] = other.output[0]
            case 5 if node.input:
                node.input[rng.integers(len(node.input))] = ""
            case 6 if node.attribute:
                attribute = node.attribute[rng.integers(len(node.attribute))]
                attribute.i = int(rng.choice([-1, 0, 7, 1 << 20, 1 << 40]))
                for place in range(len(attribute.ints)):
                    attribute.ints[place] = attribute.i
            case 7 if len(model.graph.initializer):
                tensor = model.graph.initializer[rng.integers(len(model.graph.initializer))]
                tensor.data_type = int(rng.integers(1, 17))
                tensor.dims.append(int(rng.integers(3)))
    return model.SerializeToString()


def peak_mib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) // 1024


def now_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
for seed in range(first, last):
    rng = np.random.default_rng(seed)
    # The small files most often: they are all structure.
    source = files[rng.choice(len(files), p=[0.4, 0.4, 0.15, 0.05])]
    data = rng.choice([flip, cut, rewire], p=[0.45, 0.1, 0.45])(bytearray(source), rng)
    print(seed, "begins", flush=True)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak
    before_mib = now_mib()
    signal.setitimer(signal.ITIMER_PROF, seconds)  # of the processor; the signal ends the process
    try:
        said = f"{len(tombola.load(data, 'cpu', 1)(image_rgb_u8))} answered"
    except tombola.TombolaError as error:
        said = "refused"
    except BaseException as error:
        said = f"FOREIGN {error!r}"
    signal.setitimer(signal.ITIMER_PROF, 0)
    more_mib = peak_mib() - before_mib
    print(seed, f"HUGE {more_mib} MiB" if more_mib > mib else said, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for peaks of memory")
def test_spoilt_models_end_in_an_answer_or_an_error_of_ours(
    toy_path: Path, tmp_path: Path, make_classifier: Callable[..., bytes]
) -> None:
    classifier_path = tmp_path / "classifier.onnx"
    classifier_path.write_bytes(make_classifier())
    files = [
        toy_path,
        classifier_path,
        MODELS / "fashion-mnist-classifier.onnx",
        MODELS / "voc-detector.onnx",
    ]
    assert all(onnx.load(file).graph.node for file in files)
    faults, outcomes = [], list[str]()
    for first in range(0, 2000, CHUNK):
        seed, last = first, first + CHUNK
        while seed < last:
            limits = [str(number) for number in (seed, last, MOST_SECONDS, MOST_MIB)]
            done = subprocess.run(
                [sys.executable, "-c", CHILD, *limits, *map(str, files)], capture_output=True, text=True
            )
            lines = done.stdout.splitlines()
            outcomes += [line for line in lines if not line.endswith("begins")]
            seed = last
            if done.returncode != 0:
                seed = int(lines[-1].split()[0]) + 1
                faults.append(f"{lines[-1]} and ends with {done.returncode}: {done.stderr[-300:]}")
    faults += [line for line in outcomes if "FOREIGN" in line or "HUGE" in line]
    assert faults == []
    assert len(outcomes) == 2000
    # Not all are so spoilt that they are refused at the door.
    assert 100 < sum(line.endswith("answered") for line in outcomes) < 1900
