"""What `tombola export --precision` prints: what became of a network in fewer bits."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from tombola.cli.sizes import size_text
from tombola.cli.table import counted, wrap
from tombola.cli.tasks import ask_command

if TYPE_CHECKING:
    from tombola.export.quantize.quantize import QuantizeReport


def quantize_lines(report: "QuantizeReport", source: Path, columns: int | None) -> list[str]:
    """Layers, score, speed and size, before and after."""
    before, after, speed = report.before, report.after, report.speed
    fitted = f", fitted to {counted(report.pictures, 'picture')}" if report.pictures else ""
    sentences = [
        f"{counted(len(report.layers), 'layer')} in {report.precision}{fitted}; "
        f"in float {', '.join(report.left)}.",
        *_cost(report),
        *_score(report),
        f"Speed: {after.latency_p50_ms:.2f} ms against {before.latency_p50_ms:.2f} ms, ×{speed.ratio:.2f} "
        f"(95 %: {speed.low:.2f} … {speed.high:.2f}), on {after.device}, {counted(after.threads, 'thread')}.",
        f"Size: {size_text(report.nbytes)} against {size_text(before.file_bytes)}.",
        f"Carries {counted(len(report.contract.probes), 'small probe')} of its own for `tombola verify`.",
    ]
    return [
        *(line for sentence in sentences for line in wrap(sentence, columns=columns)),
        f"{report.path}: {size_text(report.nbytes)}",
        f"Next: tombola bench {quote(str(report.path))} --against {quote(str(source))}"
        if source.is_file()
        else f"Next: {ask_command(report.contract, report.path)}",
    ]


def _cost(report: "QuantizeReport") -> list[str]:
    if not report.left_out:
        return []
    return [f"In float because of what they cost the score: {', '.join(report.left_out)}."]


def _score(report: "QuantizeReport") -> list[str]:
    from tombola.train.tasks.table import TASKS

    if report.contract.task == "generate":
        return ["What it costs is told by `tombola evaluate` of both files, with --pictures."]
    if report.score_before is None or report.score_after is None or report.difference is None:
        return ["The score was not measured: give --pictures with their --annotations to know what it costs."]
    score = TASKS[report.contract.task].score
    before, after = report.score_before.main, report.score_after.main
    number, low, high = map(score.number, (after - before, report.difference.low, report.difference.high))
    return [
        f"{score.name}: {score.digits(after)} against {score.tell(before)} on "
        f"{counted(report.score_after.pictures, 'held-out picture')}, difference {number:+.2f} "
        f"(95 %: {low:+.2f} … {high:+.2f})."
    ]
