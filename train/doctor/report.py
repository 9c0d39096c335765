"""report.html of a run: what was found before, during and after the training, and how the network errs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from tombola.errors import TrainingError
from tombola.train.doctor.curve_findings import judge_curves
from tombola.train.doctor.finding import Finding
from tombola.train.doctor.page import (
    html_code,
    html_facts,
    html_findings,
    html_folded,
    html_page,
    html_pictures,
    html_section,
    html_table,
)
from tombola.train.drawing import charts
from tombola.train.drawing.contact_sheet import contact_sheet
from tombola.train.run.folder import RunFolder, write_atomic
from tombola.train.run.watch_row import HEALTHY_RATIO, WatchRow
from tombola.train.tasks.task import (
    ExaminedTask,
    Exhibit,
    ExhibitTable,
    GuessableTask,
    ShownTask,
    Tell,
    evenly,
    silent,
)

# With fewer, curves have no shape.
ENOUGH_EPOCHS = 3
SHOWN_EPOCHS = 12
SHOWN_PICTURES = 12  # on each of two sheets of about a megabyte


@dataclass(frozen=True)
class _Material:
    """All that the page tells."""

    task: ExaminedTask
    recipe_toml: str
    metrics: list[dict[str, float]]
    watch_rows: list[WatchRow]
    watch_sentences: list[str]
    preflight: list[Finding]
    range_test_png: bytes | None
    parameters: int | None
    pictures: Sequence[Exhibit]
    exhibits: Sequence[Exhibit | ExhibitTable]


def write_report(run: RunFolder, task: ExaminedTask, *, device: str = "cpu", tell: Tell = silent) -> Path:
    """Write report.html of what the run folder holds so far, and return its path.

    The exhibits are those of the best weights, if there are weights; `tell` hears how many validation
    pictures are judged. Raises TrainingError for files that are damaged or do not fit the task, OutputError,
    and what reading the validation pictures raises.
    """
    path = run.path / "report.html"
    write_atomic(path, _page(_gather(run, task, torch.device(device), tell)).encode())
    return path


def _gather(run: RunFolder, task: ExaminedTask, device: torch.device, tell: Tell) -> _Material:
    rows, sentences = run.read_watch()
    preflight, range_test_png = _read_preflight(run.path)
    parameters, exhibits = _judge_best(run, task, device, tell)
    return _Material(
        task=task,
        recipe_toml=task.recipe_toml(),
        metrics=run.read_metrics(),
        watch_rows=rows,
        watch_sentences=sentences,
        preflight=preflight,
        range_test_png=range_test_png,
        parameters=parameters,
        pictures=_pictures(task),
        exhibits=[*exhibits, *_samples_by_epoch(run)],
    )


def _samples_by_epoch(run: RunFolder) -> list[Exhibit]:
    """What a generator made of the same random numbers, a row an epoch."""
    shown = evenly(list(run.sample_rows().items()), SHOWN_EPOCHS)
    rows = [
        np.asarray(cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR))
        for _, path in shown
    ]
    if len(rows) < 2 or any(row.shape != rows[0].shape for row in rows):
        return []
    epochs = ", ".join(str(epoch) for epoch, _ in shown)
    return [
        Exhibit(
            "Samples by epoch",
            f"Made of the same random numbers after epochs {epochs}, a row each.",
            cv2.imencode(".png", np.concatenate(rows))[1].tobytes(),
        )
    ]


def _pictures(task: ExaminedTask) -> list[Exhibit]:
    """Contact sheets of training pictures."""
    if not isinstance(task, ShownTask):
        return []
    plain, changed = task.shown(SHOWN_PICTURES)
    return [
        Exhibit("Labelled", "Training pictures with their labels as written down.", contact_sheet(plain)),
        Exhibit(
            "As the network gets them",
            "The same, cut, scaled and changed at random as in the first epoch. Labels must still be true.",
            contact_sheet(changed),
        ),
    ]


def _read_preflight(folder: Path) -> tuple[list[Finding], bytes | None]:
    findings_path, picture_path = folder / "preflight.json", folder / "range_test.png"
    if not findings_path.exists():
        return [], None
    try:
        content: dict[str, Any] = json.loads(findings_path.read_text(encoding="utf-8"))
        findings = [Finding(**finding) for finding in content["findings"]]
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{findings_path} is damaged ({error}); run the preflight again") from None
    tested = content.get("range_test") is not None and picture_path.exists()
    return findings, picture_path.read_bytes() if tested else None


def _judge_best(
    run: RunFolder, task: ExaminedTask, device: torch.device, tell: Tell
) -> tuple[int | None, Sequence[Exhibit | ExhibitTable]]:
    """How many weights the network has, and the exhibits of the best."""
    if not run.weights_path("best").exists():
        return None, ()
    network = task.build_network(start=False)
    run.load(network, "best")
    with torch.inference_mode():
        exhibits = task.exhibits(network.to(device).eval(), tell)
    return sum(parameter.numel() for parameter in network.parameters()), exhibits


def _page(material: _Material) -> str:
    sections = [html_facts(_facts(material)), _findings(material)]
    if material.metrics:
        sections.append(html_section("Curves", html_pictures(_curves(material))))
    if material.range_test_png is not None:
        picture = Exhibit(
            "Learning-rate range test",
            "The loss while the learning rate grows, on a copy of the network. A good rate lies where the "
            "loss falls steadily, well before its lowest point.",
            material.range_test_png,
        )
        sections.append(html_section("Before the training", html_pictures([picture])))
    if material.watch_rows:
        sections.append(html_section("Layers", html_pictures(_layers(material)), _last_look(material)))
    if material.pictures:
        sections.append(html_section("Training pictures", html_pictures(material.pictures)))
    if material.exhibits:
        sections.append(html_section("Answers and mistakes", html_pictures(material.exhibits)))
    sections.append(html_section("Recipe", html_folded("All values", html_code(material.recipe_toml))))
    return html_page(material.task.name, "Report of a training by Tombola", sections)


def _facts(material: _Material) -> list[tuple[str, str]]:
    facts = []
    score = material.task.score
    best = score.best(material.metrics)
    if best is not None:
        facts.append((f"best {_spoken(score.name)}", score.tell(best[score.key])))
        facts.append(("reached after epoch", f"{best['epoch']:.0f}"))
    if material.metrics:
        last = material.metrics[-1]
        facts += [
            ("epochs", f"{last['epoch']:.0f} of {material.task.settings.epochs}"),
            ("steps", f"{last['step']:,.0f}"),
            ("last training loss", f"{last['loss']:.4g}"),
        ]
    else:
        facts.append(("epochs", "not trained yet"))
    if material.parameters is not None:
        facts.append(("parameters", f"{material.parameters:,}"))
    return facts


def _findings(material: _Material) -> str:
    before = [(finding.level, f"{finding.check}: {finding.sentence}") for finding in material.preflight]
    task = material.task
    guessed = task.guessed_score() if isinstance(task, GuessableTask) else None
    after = judge_curves(material.metrics, task.score, task.expected_losses(), guessed)
    during = [("warning", sentence) for sentence in [*material.watch_sentences, *after]]
    content = []
    if before:
        content += ["<p>Before the training (preflight):</p>", html_findings(before)]
    if during:
        content += ["<p>During the training:</p>", html_findings(during)]
    elif 0 < len(material.metrics) < ENOUGH_EPOCHS:
        content.append(html_findings([("skipped", "too few epochs to judge the training by its curves")]))
    elif material.metrics:
        content.append(html_findings([("ok", "nothing was found wrong during the training")]))
    return html_section("Findings", *content) if content else ""


def _curves(material: _Material) -> list[Exhibit]:
    rows, main = material.metrics, material.task.score.key
    pictures = [
        Exhibit(
            "Training loss",
            "The mean over each epoch. Flat at first and falling later: suspect the first weights. Falling "
            "too slowly: raise the learning rate.",
            charts.draw_loss(rows),
        )
    ]
    keys = dict.fromkeys(key for row in rows for key in row if key.startswith("valid_"))
    for key in sorted(keys, key=lambda key: key != main):
        point = "highest" if material.task.score.higher_is_better else "lowest"
        sentence = f"The best weights are those of the {point} point." if key == main else ""
        title = f"Validation: {_spoken(key)}"
        pictures.append(Exhibit(title, sentence, charts.draw_scores(rows, [key])))
    return pictures


def _layers(material: _Material) -> list[Exhibit]:
    rows = material.watch_rows
    pictures = []
    if any(row.update_ratio for row in rows):
        sentence = (
            "How far a step moves a layer's weights, as a share of their length. About "
            f"{HEALTHY_RATIO:g} is healthy (green: a factor of ten either way); beyond the dotted lines it "
            "is too fast or too slow. "
            "Blue lines are the first layers, orange ones the last."
        )
        pictures.append(Exhibit("Update / weight", sentence, charts.draw_update_ratios(rows)))
    if any(row.gradient_norm for row in rows):
        sentence = (
            "After clipping. First layers (blue) far below the last (orange): the gradient vanishes; far "
            "above: it explodes."
        )
        pictures.append(Exhibit("Gradients", sentence, charts.draw_gradients(rows)))
    if any(row.dead_share is not None for row in rows):
        sentence = "Units that answered 0 to every recent example; they get no gradient and learn nothing."
        pictures.append(Exhibit("Dead units", sentence, charts.draw_dead_units(rows)))
    if any(row.saturated_share is not None for row in rows):
        sentence = "Answers on the flat ends of sigmoid or tanh, where nearly no gradient comes through."
        pictures.append(Exhibit("Saturated units", sentence, charts.draw_saturated_units(rows)))
    return pictures


def _last_look(material: _Material) -> str:
    step = material.watch_rows[-1].step
    cells = [
        [
            row.layer,
            _number(row.gradient_norm),
            _number(row.update_ratio),
            _share(row.dead_share),
            _share(row.saturated_share),
        ]
        for row in material.watch_rows
        if row.step == step
    ]
    table = html_table(["layer", "‖gradient‖", "‖update‖ / ‖weight‖", "dead", "saturated"], cells)
    return html_folded(f"Every layer at step {step}", table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _spoken(key: str) -> str:
    return key.removeprefix("valid_").replace("_", " ")
