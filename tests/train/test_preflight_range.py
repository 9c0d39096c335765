"""The range test of the preflight on descents whose course is known."""
# ruff: noqa: ARG002  # a toy task is given more than it needs

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.train.number_task import NumberTask
from tombola.train.doctor.checks.material import Material
from tombola.train.doctor.checks.range_plot import draw_range_test
from tombola.train.doctor.checks.range_test import RangeTest, check_learning_rate, run_range_test
from tombola.train.doctor.preflight import Preflight
from tombola.train.tasks.moment import Moment

CPU = torch.device("cpu")


def run(material: Material) -> RangeTest:
    test = run_range_test(material)
    assert test is not None
    return test


class Overflow(NumberTask):
    def losses(self, network: nn.Module, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
        return {"huge": network(batch[:, None]).square().mean() * math.inf}


def test_a_loss_that_is_never_finite_is_a_fault(tmp_path: Path) -> None:
    test = run(Material(Overflow(), CPU))
    finding = check_learning_rate(test, 1e-3)
    assert finding.level == "fault"
    assert "not finite" in finding.sentence
    Preflight((finding,), test, 1e-3, 1.0).write(tmp_path)
    content = json.loads((tmp_path / "preflight.json").read_text(), parse_constant=pytest.fail)
    assert content["range_test"]["first_loss"] is None


class Steep(NumberTask):
    def losses(self, network: nn.Module, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
        return {"root": (0 * network.get_parameter("weight").sum()).sqrt()}  # 0, with a slope of ∞


def test_a_gradient_that_is_never_finite_is_a_fault(tmp_path: Path) -> None:
    test = run(Material(Steep(), CPU))
    finding = check_learning_rate(test, 1e-3)
    assert (finding.level, "not finite" in finding.sentence) == ("fault", True)
    Preflight((finding,), test, 1e-3, 1.0).write(tmp_path)


class Bowl(NumberTask):
    """(w - noise)², from w = 100 on; gradient descent multiplies w by 1 - 2 rate, so it diverges above 1."""

    def losses(self, network: nn.Module, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
        return {"bowl": (network.get_parameter("weight") - batch.mean() / 20).square().sum()}


def test_the_range_test_finds_where_descent_on_a_bowl_diverges() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 100.0)
    task = Bowl(network, optimizer="sgd", momentum=0.0, clip_norm=1e9)
    test = run(Material(task, CPU))
    assert test.first_loss == pytest.approx(1e4, rel=0.05)
    assert test.exploded_rate is not None
    assert 1.0 < test.exploded_rate < 4.0
    assert test.suggested_rate is not None
    assert 0.005 < test.suggested_rate < 0.5
    assert list(test.rates) == sorted(test.rates)
    assert len(test.rates) == len(test.losses) == len(test.smooth_losses)


class Pupil(NumberTask):
    """A weight that is to become 1; each step multiplies what is missing by 1 - 2 rate."""

    def losses(self, network: nn.Module, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
        return {"square": (network.get_parameter("weight") - 1).square().sum() + 0 * batch.mean()}

    def expected_losses(self) -> Mapping[str, float]:
        return {"square": 2.0}


def pupil(weight: float, rate: float, optimizer: str = "sgd") -> Material:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, weight)
    return Material(Pupil(network, optimizer=optimizer, momentum=0.0, clip_norm=1e9, learning_rate=rate), CPU)


def test_a_rate_beyond_what_is_known_by_heart_is_tried_from_the_start() -> None:
    """The ramp finds the 1 long before a rate of 50, and at 50 nothing is left that could explode."""
    test = run(pupil(0.0, 50.0, "adam"))
    passed = [rate for rate, loss in zip(test.rates, test.smooth_losses, strict=True) if loss > 3]
    assert min(passed) > 50
    assert test.exploded_rate == 50.0
    assert check_learning_rate(test, 50.0).level == "fault"
    harmless = run(pupil(0.0, 0.3, "adam"))
    assert harmless.exploded_rate is None
    assert check_learning_rate(harmless, 0.3).level == "ok"


def test_what_is_known_already_suggests_no_rate() -> None:
    test = run(pupil(1.1, 0.01))
    assert (test.knows, test.suggested_rate, test.diverged_rate) == (True, None, None)
    found = check_learning_rate(test, 0.01)
    assert found.level == "ok"
    assert "knows these pictures already" in found.sentence
    # Three times the first loss is 0.03; an ignorant network has 2, and only beyond that is it an explosion.
    test = run(pupil(1.1, 1000.0))
    assert test.smooth_losses[-1] > 2
    assert max(test.smooth_losses[:-1]) <= 2
    found = check_learning_rate(test, 1000.0)
    assert found.level == "fault"
    assert "passes 2, that of a network that knows nothing, at" in found.sentence
    assert draw_range_test(test, 1000.0).startswith(b"\x89PNG")


def test_a_nearly_flat_curve_suggests_no_rate() -> None:
    class Slight(Pupil):
        def losses(self, network: nn.Module, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
            return {"square": 20 + super().losses(network, batch, moment)["square"]}

    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)  # all that can be learnt is 1 of 21
    test = run(Material(Slight(network, optimizer="sgd", momentum=0.0, learning_rate=0.01), CPU))
    assert min(test.smooth_losses) < 20.1
    assert test.suggested_rate is None
    assert check_learning_rate(test, 0.01).level == "warning"


def test_the_range_reaches_beyond_the_recipes_own_rate() -> None:
    class Flat(NumberTask):
        def losses(self, network: nn.Module, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
            return {"flat": 0 * sum(p.sum() for p in network.parameters()) + torch.ones(())}

    test = run(Material(Flat(learning_rate=40.0), CPU))
    assert test.rates[-1] == pytest.approx(120.0)
    assert test.suggested_rate is None


def test_a_range_test_that_does_not_fit_is_left_out() -> None:
    assert run_range_test(Material(NumberTask(), CPU, budget_s=0.0)) is None
    assert check_learning_rate(None, 1e-3).level == "skipped"
