"""The picture of precision against recall: one small panel a class, best first."""

import io
from pathlib import Path

import numpy as np

from tombola.train.metrics.average_precision import DetectionScores
from tombola.train.metrics.score import percent
from tombola.train.metrics.table import class_rows, total_row
from tombola.train.run.folder import check_place, write_atomic

SUFFIXES = (".png", ".svg", ".pdf")
PANELS_ACROSS = 5
PANEL_INCHES = 2.1
LEAST_INCHES = 4.2  # for the title
LINE, FILL, POINT, INK, FAINT = "#0072b2", "#cfe3f0", "#d55e00", "#222222", "#cccccc"


def draw_precision_recall(scores: DetectionScores, path: Path, score_threshold: float = 0.5) -> None:
    """Write the curves as a picture (PNG, or SVG and PDF by the path's ending).

    Each panel shows one class's precision against recall, its AP, and a dot where `score_threshold` cuts.
    Needs matplotlib. OutputError if the file cannot be written or its ending is another.
    """
    check_place(path, *SUFFIXES)
    write_atomic(path, _drawn(scores, score_threshold, path.suffix.removeprefix(".")))


def precision_recall_png(scores: DetectionScores, score_threshold: float = 0.5) -> bytes:
    """The same picture as PNG bytes."""
    return _drawn(scores, score_threshold, "png")


def _drawn(scores: DetectionScores, score_threshold: float, form: str) -> bytes:
    # matplotlib takes a second to import, and a training that draws nothing should not need it.
    from tombola.train.drawing.figure import blank_figure

    order = np.argsort(-np.nan_to_num(scores.average_precision, nan=-1), kind="stable")
    across = min(PANELS_ACROSS, max(len(order), 1))
    down = max(1, -(-len(order) // across))
    figure = blank_figure((max(across * PANEL_INCHES + 0.5, LEAST_INCHES), down * PANEL_INCHES + 0.9), 100)
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    rows = class_rows(scores, score_threshold)
    for panel, label in zip(panels, order, strict=False):
        curve, row = scores.curves[label], rows[label]
        recall = np.concatenate([[0.0], curve.recall])
        precision = np.concatenate([curve.precision[:1], curve.precision])
        if len(curve.scores) and curve.truths:
            panel.fill_between(recall, precision, color=FILL, linewidth=0)
            panel.plot(recall, precision, color=LINE, linewidth=1.4)
        if row.right + row.wrong and curve.truths:
            panel.plot([row.recall], [row.precision], "o", color=POINT, markersize=5, clip_on=False, zorder=3)
        panel.set_title(f"{row.name}  {percent(row.average_precision)}", fontsize=9, color=INK)
        panel.set(xlim=(0, 1), ylim=(0, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        panel.tick_params(labelsize=7, color=FAINT, labelcolor=INK)
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(FAINT)
    for panel in panels[len(order) :]:
        panel.set_visible(False)
    total = total_row(scores, score_threshold)
    figure.suptitle(
        f"mAP at IoU {scores.iou_threshold:g}: {percent(total.average_precision)}\n"
        f"dots: score {score_threshold:g}, precision {percent(total.precision)}, "
        f"recall {percent(total.recall)}",
        fontsize=10,
        color=INK,
    )
    figure.supxlabel("recall", fontsize=9, color=INK)
    figure.supylabel("precision", fontsize=9, color=INK)
    content = io.BytesIO()
    figure.savefig(content, format=form, dpi=120)
    return content.getvalue()
