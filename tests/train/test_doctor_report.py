"""The page of a run: whole, self-contained and true; what curves say; how errors are chosen and drawn."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from tombola.errors import TrainingError
from tombola.train.doctor.curve_findings import judge_curves
from tombola.train.doctor.report import write_report
from tombola.train.metrics.score import Score
from tombola.train.recipe.recipe import TrainingSettings
from tombola.train.run.folder import RunFolder
from tombola.train.run.watch_row import WatchRow
from tombola.train.tasks.task import Exhibit, ExhibitTable, Tell, silent

PNG = cv2.imencode(".png", np.zeros((2, 3, 3), np.uint8))[1].tobytes()


class Page(HTMLParser):
    """Reads a page and checks that every tag is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe")
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        self.text += data


ACCURACY = Score("accuracy", "share", higher_is_better=True)


@dataclass
class ToyTask:
    """What the report asks of a task."""

    name: str = "<i>toys</i> & co"
    score: Score = ACCURACY
    width: int = 2

    @property
    def settings(self) -> TrainingSettings:
        return TrainingSettings(epochs=9)

    def recipe_toml(self) -> str:
        return 'task = "toy" # <recipe>\n'

    def expected_losses(self) -> Mapping[str, float]:
        return {"cross_entropy": math.log(3)}

    def build_network(self, *, start: bool = True) -> nn.Module:
        assert not start  # weights of its own are read into it
        return nn.Linear(self.width, 3)

    def exhibits(self, network: nn.Module, tell: Tell = silent) -> Sequence[Exhibit | ExhibitTable]:
        tell(1, 1)
        assert not network.training
        assert torch.is_inference_mode_enabled()
        return [
            Exhibit("A & B", "<b>bold</b>", PNG),
            ExhibitTable("C", "all & none", ("class", "F1"), [("<cat>", "1.5")]),
        ]


def report(run: RunFolder, **changes: Any) -> Page:
    path = write_report(run, ToyTask(**changes))  # type: ignore[arg-type]
    assert path == run.path / "report.html"
    return Page(path)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A finished run with all that a report can tell."""
    run = RunFolder(tmp_path)
    run.write_metrics(
        [
            {"epoch": epoch, "step": 10 * epoch, "loss": 1 / epoch, "valid_accuracy": accuracy}
            for epoch, accuracy in ((1, 0.5), (2, 0.875), (3, 0.874))
        ]
    )
    run.write_weights("best", nn.Linear(2, 3).state_dict(), {})
    rows = [WatchRow(step, f"layer{n}", 0.1 * n, 1e-3) for step in (1, 20) for n in range(8)]
    rows += [WatchRow(20, "act", None, None, 0.75), WatchRow(20, "gate", None, None, None, 0.25)]
    run.write_watch(rows, ["step 20: <em>dead</em>"])
    (tmp_path / "range_test.png").write_bytes(PNG)
    findings = [{"check": "labels", "level": "fault", "sentence": "shuffled & dealt"}]
    (tmp_path / "preflight.json").write_text(json.dumps({"findings": findings, "range_test": {}}))
    return run


def test_a_page_of_everything(run: RunFolder) -> None:
    page = report(run)
    assert page.headings == [
        "Findings", "Curves", "Before the training", "Layers", "Answers and mistakes", "Recipe"
    ]  # fmt: skip
    told = (
        "<i>toys</i> & co", "best accuracy87.50 %", "reached after epoch2", "epochs3 of 9", "steps30",
        "parameters9", "faultlabels: shuffled & dealt", "warningstep 20: <em>dead</em>", "<b>bold</b>",
        "all & none", "<cat>1.5",
        "Every layer at step 20", "layer70.70.001", "act75%", "gate25%", 'task = "toy" # <recipe>',
    )  # fmt: skip
    assert [words for words in told if words not in page.text] == []
    # Loss, accuracy, range test, four of the watch, the exhibit.
    assert len(page.links) == 8
    assert all(link.startswith("data:image/png;base64,iVBORw0KGgo") for link in page.links)


def test_a_page_before_the_training(tmp_path: Path) -> None:
    page = report(RunFolder(tmp_path))
    assert page.headings == ["Recipe"]
    assert "not trained yet" in page.text


def test_a_page_of_one_epoch_without_validation(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_metrics([{"epoch": 1, "step": 10, "loss": 0.5, "loss_a": 0.2, "loss_b": 0.3}])
    page = report(run)
    assert "too few epochs to judge" in page.text
    assert len(page.links) == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"findings": [{"level": "ok"}]}', "{}"])
def test_a_damaged_preflight(tmp_path: Path, text: str) -> None:
    (tmp_path / "preflight.json").write_text(text)
    with pytest.raises(TrainingError, match=r"preflight\.json is damaged .*; run the preflight again"):
        report(RunFolder(tmp_path))


def test_a_damaged_watch(tmp_path: Path) -> None:
    (tmp_path / "watch.csv").write_text("step,layer\none,two\n")
    with pytest.raises(TrainingError, match=r"watch\.csv is damaged .*; remove it"):
        report(RunFolder(tmp_path))


def test_weights_of_another_network(run: RunFolder) -> None:
    with pytest.raises(TrainingError, match=r"best\.safetensors does not fit .*recipe\.toml: size mismatch"):
        report(run, width=5)


# Curves.


def rows(losses: Sequence[float], **columns: Sequence[float]) -> list[dict[str, float]]:
    return [
        {"epoch": n + 1, "step": n, "loss": loss, **{name: column[n] for name, column in columns.items()}}
        for n, loss in enumerate(losses)
    ]


FALLING = [2.0, 1.5, 1.2, 1.0]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ([], None),
        (rows([2.3] * 8), None),
        (rows([2.3, 2.3, 2.29, 2.28, 1.5, 1, 0.7, 0.5]), "stayed flat for the first 3 epochs (2.3 to 2.29)"),
        (rows([2.3, 1.9, 1.5, 1.3, 1.1, 1, 0.7, 0.5]), None),
        (rows(FALLING, valid_map=[0.1, 0.2, 0.3, 0.4]), "map was still rising at the end, from 0.3 to 0.4"),
        (rows(FALLING, valid_map=[0.1, 0.4, 0.396, 0.4]), None),
        (rows(FALLING, valid_map=[0.1, 0.4, 0.3, 0.3]), "best after epoch 2 (0.4) and fell to 0.3 while"),
        (rows([2, 1, 2, 3], valid_map=[0.1, 0.4, 0.3, 0.3]), "lower training.learning_rate"),
        (
            rows(FALLING, loss_ce=FALLING, valid_ce=[1.0, 0.5, 0.7, 0.8], valid_map=[0.4] * 4),
            "ce on the validation pictures was least after epoch 2 (0.5) and rose to 0.8",
        ),
        (rows(FALLING, loss_ce=FALLING, valid_ce=[1.0, 0.5, 0.5, 0.55]), None),
    ],
)
def test_what_curves_say(metrics: list[dict[str, float]], words: str | None) -> None:
    score = Score("map", "share", higher_is_better=True)
    told = judge_curves(metrics, score, {})
    assert len(told) == (words is not None)
    assert words is None or words in told[0]


def test_a_loss_like_that_of_an_ignorant_network_is_told() -> None:
    rows = [{"epoch": epoch, "loss": 1.4, "loss_cross_entropy": 1.36} for epoch in (1, 2, 3)]
    (sentence,) = judge_curves(rows, ACCURACY, {"cross_entropy": math.log(4), "unknown": 1.0})
    assert "loss is 1.36 at the end, and a network that knows nothing has 1.39" in sentence
    assert not judge_curves(rows, ACCURACY, {"cross_entropy": math.log(5)})
    assert not judge_curves([], ACCURACY, {"cross_entropy": 1.0})


@pytest.mark.parametrize(
    ("reached", "guessed", "is_told"),
    [
        (0.14, 0.12, True),
        (0.54, 0.5, True),
        (0.56, 0.5, False),
        (0.25, 0.1, False),
        (0.05, 0.01, False),
        (0.9, 0.9, True),
    ],
)
def test_a_score_barely_above_a_guess_is_told(reached: float, guessed: float, is_told: bool) -> None:
    rows = [{"epoch": 1.0, "loss": 0.1, "valid_accuracy": reached}]
    told = judge_curves(rows, ACCURACY, {}, guessed)
    assert len(told) == is_told
    if is_told:
        assert f"{100 * reached:.2f} %" in told[0]
        assert f"{100 * guessed:.2f} %" in told[0]


def test_a_score_of_which_less_is_better_is_judged_so(run: RunFolder) -> None:
    nll = Score("nll", "nats", higher_is_better=False)
    (rising,) = judge_curves(rows(FALLING, valid_nll=[0.9, 0.4, 0.5, 0.6]), nll, {})
    assert "nll was best after epoch 2 (0.4) and rose to 0.6 while" in rising
    (falling,) = judge_curves(rows(FALLING, valid_nll=[0.9, 0.6, 0.5, 0.4]), nll, {})
    assert "nll was still falling at the end, from 0.5 to 0.4" in falling
    run.write_metrics([{"epoch": n, "step": n, "loss": 1, "valid_nll": 0.5 + n} for n in (1, 2, 3)])
    page = report(run, score=nll)
    assert "1.5 nats" in page.text
    assert "lowest point" in page.text


def test_few_epochs_are_not_called_good(run: RunFolder) -> None:
    run.write_metrics([{"epoch": 1, "step": 10, "loss": 0.2, "valid_accuracy": 0.9}])
    run.write_watch([], [])
    page = report(run)
    assert "too few epochs to judge" in page.text
    assert "nothing was found wrong" not in page.text
