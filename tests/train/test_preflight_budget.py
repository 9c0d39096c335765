"""How long the preflight takes: never longer than its budget, and told while it passes."""

import re

import pytest
import torch

from tests.train.number_task import NumberTask
from tombola.train.doctor.checks.material import Material
from tombola.train.doctor.preflight import CHECKS, preflight

CPU = torch.device("cpu")


def test_a_budget_that_is_used_up_skips_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(10**6))
    monkeypatch.setattr("tombola.train.doctor.countdown.time.monotonic", lambda: float(next(now)))
    told: list[str] = []
    findings = preflight(NumberTask(batch_size=4), budget_s=12.0, say=told.append).findings
    late = [finding.check for finding in findings if "0.2 minutes is used up" in finding.sentence]
    assert late
    assert late == list(CHECKS[-len(late) :])
    assert not {f"{check} …" for check in late} & set(told)


def test_limits_shrink_with_the_budget_and_end_with_it() -> None:
    assert Material(NumberTask(), CPU).limit_s(60.0) == pytest.approx(60.0)
    assert Material(NumberTask(), CPU, budget_s=60.0).limit_s(60.0) == pytest.approx(6.0)
    assert Material(NumberTask(), CPU, budget_s=60.0).limit_s(9000.0) <= 60.0


def test_progress_says_how_long_a_check_takes_at_most() -> None:
    shown: list[str] = []
    preflight(NumberTask(batch_size=4), budget_s=60.0, show=shown.append)
    parts = {line.split("  ")[0] for line in shown}
    assert {"handful", "learning rate"} <= parts
    assert all(re.fullmatch(r"[a-z ]+  step \d+  0:\d\d left at most", line) for line in shown)
