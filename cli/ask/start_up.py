"""python -m tombola.cli.ask.start_up: `detect PICTURE` beside the imports that it cannot be without."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

import typer

from tombola.cli.polite import run_politely
from tombola.cli.shipped import model_or_shipped
from tombola.cli.table import table, terminal_columns

# The arguments of each are a model file and a picture.
PROGRAMS = {
    "import cv2, onnxruntime": "import cv2, onnxruntime",
    "a plain script": """
import sys, cv2, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
image_rgb_u8 = cv2.cvtColor(cv2.imread(sys.argv[2]), cv2.COLOR_BGR2RGB)
print(session.run(None, {"image": image_rgb_u8}))
""",
    "detect": """
import sys
from tombola.cli.main import run_detect
sys.argv[1:] = [sys.argv[2], "--model", sys.argv[1], "--device", "cpu"]
run_detect()
""",
}


def start_up(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE")],
    model: Annotated[Path | None, typer.Option("--model", help="The one that ships by default.")] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Each program once, in turn.")] = 30,
) -> None:
    """Time of the whole process, of `detect` and of what it is held against."""
    from tombola.runtime.load import check_model
    from tombola.runtime.pictures.picture import read_picture

    file = model_or_shipped(model, "detect")
    check_model(file, task="detect")
    read_picture(picture, None)
    # Without bytecode Python compiles every module anew, which no installed program does.
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    taken: dict[str, list[tuple[float, float, int]]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds + 1):
        for name, code in PROGRAMS.items():
            taken[name].append(_run([sys.executable, "-c", code, str(file), str(picture)], env))
    bare = [(wall_s, cpu_s) for wall_s, cpu_s, _ in taken["import cv2, onnxruntime"][1:]]
    rows = []
    for name, all_runs in taken.items():
        runs = all_runs[1:]  # the first has to read files from the disk
        cells = []
        for column in (0, 1):
            values, bares = [run[column] for run in runs], [run[column] for run in bare]
            ratio = median(value / other for value, other in zip(values, bares, strict=True))
            cells += [f"{1000 * min(values):.0f}", f"{1000 * median(values):.0f}", f"{ratio:.2f}"]
        rows.append([name, *cells, f"{max(run[2] for run in runs) / 1024:.0f}"])
    header = ("", "wall ms, least", "median", "ratio", "CPU ms, least", "median", "ratio", "MiB")
    typer.echo("\n".join(table(header, rows, "<>>>>>>>", columns=terminal_columns())))


def _run(command: list[str], env: dict[str, str]) -> tuple[float, float, int]:
    """Wall and CPU seconds of a process, and its peak memory in KiB."""
    started = perf_counter()
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = perf_counter() - started
    if process.returncode:
        raise typer.Exit(1)  # it has said why
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


if __name__ == "__main__":
    run_politely(start_up)
