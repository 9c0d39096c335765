"""The parts of the preflight on tasks so small that their numbers can be worked out by hand."""
# ruff: noqa: ARG002  # a toy task is given more than it needs

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric
from torch import Tensor, nn

from tests.train.number_task import NumberTask
from tombola.train.doctor.checks import label_gain, range_test
from tombola.train.doctor.checks.first_gradient import FirstGradient, check_first_weights, check_gradients
from tombola.train.doctor.checks.first_loss import check_first_loss
from tombola.train.doctor.checks.inputs import check_inputs, first_input
from tombola.train.doctor.checks.material import Material
from tombola.train.doctor.checks.pair_test import PairCount, count_pairs
from tombola.train.doctor.checks.penalty import check_penalty
from tombola.train.doctor.preflight import CHECKS, OF_LABELS, preflight
from tombola.train.loop.learn.gradient_learner import GradientLearner
from tombola.train.loop.learn.noise import seed_noise
from tombola.train.networks.axis import Axis
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.tasks.moment import Moment

CPU = torch.device("cpu")
START = Moment(0, 0, 1)


@given(count=st.integers(1, 300), size=st.integers(1, 40))
def test_what_is_held_out_is_never_trained_on(count: int, size: int) -> None:
    if count < size:
        return
    material = Material(NumberTask(count=count, batch_size=size), CPU)
    trained = [int(n) for batch in material.training_batches(augmented=False) for n in batch]
    held_out = [int(n) for pair in material.held_out_pairs(augmented=False) for n in pair]
    planned = count // size * size
    assert trained
    assert not set(trained) & set(held_out)
    assert sorted({*trained, *held_out}) == sorted([*trained, *held_out])
    # A batch of odd length leaves one picture without a partner.
    assert planned // 3 - len(material._held_out) <= len(held_out) <= planned // 3
    left_out = planned - planned // 3 - len(trained)
    assert left_out in ((0, 1) if size > 1 else (0,))


def test_pairs_differ_in_their_labels_where_one_in_twenty_is_rare() -> None:
    class Skewed(NumberTask):
        def same_labels(self, batch: Any) -> bool:
            rare = batch % 20 == 0
            return bool((rare == rare[0]).all())

    material = Material(Skewed(count=900, batch_size=60), CPU)
    pairs = material.held_out_pairs(augmented=False)
    assert len(pairs) == 15  # as many as rare ones among the last 300
    assert all(sum(number % 20 == 0 for number in pair.tolist()) == 1 for pair in pairs)
    assert len({number for pair in pairs for number in pair.tolist()}) == 30


@pytest.mark.parametrize("step_pictures", [2, 3, 7, 100])
@pytest.mark.parametrize("small", [False, True])
def test_a_batch_norm_is_never_given_one_picture(
    monkeypatch: pytest.MonkeyPatch, step_pictures: int, small: bool
) -> None:
    monkeypatch.setattr(Material, "step_pictures", step_pictures)
    for count in range(2, 60):
        for size in range(2, min(count, 8) + 1):
            material = Material(NumberTask(count=count, batch_size=size), CPU)
            batches = material.training_batches(augmented=False, small=small)
            assert all(len(batch) > 1 for batch in batches), (count, size)


def test_small_batches_are_cut_not_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Material, "step_pictures", 3)
    material = Material(NumberTask(count=20, batch_size=5), CPU)
    batches = [batch.tolist() for batch in material.training_batches(augmented=False, small=True)]
    assert batches[:2] == [[0, 1, 2], [3, 4]]
    assert material.handful().tolist() == [0, 1, 2]
    assert [pair.tolist() for pair in material.trained_pairs(2, augmented=False)] == [[0, 1], [3, 4]]


class Prefers(NumberTask):
    """A loss that prefers a pair of numbers in rising order."""

    def losses(self, network: nn.Module, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
        return {"order": batch[0] - batch[1] + 10}


def test_pairs_are_counted_and_ties_left_out() -> None:
    pairs = [torch.tensor(pair) for pair in ([1.0, 2.0], [2.0, 1.0], [3.0, 3.0], [0.0, 5.0])]

    def count(**limits: Any) -> PairCount:
        return count_pairs(Prefers(), nn.Identity(), pairs, START, **limits)

    assert count(seconds=10) == PairCount(own=2, pairs=3)
    assert count(seconds=-1) == PairCount(own=1, pairs=1)
    # Without time, too, the fewest are judged.
    assert count(seconds=-1, fewest=2) == PairCount(own=1, pairs=2)


@pytest.mark.parametrize(("first", "steps"), [(PairCount(200, 256), 25), (PairCount(130, 256), 50)])
def test_a_sure_look_outlives_a_later_one_with_fewer_pairs(
    monkeypatch: pytest.MonkeyPatch, first: PairCount, steps: int
) -> None:
    counts = iter([first, PairCount(0, 0), PairCount(30, 46), PairCount(0, 0)])  # held out, trained, …
    monkeypatch.setattr(label_gain, "_count", lambda *_: next(counts))
    gain = label_gain.measure_gain(
        Material(NumberTask(count=300), CPU),
        1e-3,
        augmented=False,
        steps=50,
        enough=lambda _: False,
        say=lambda _: None,
    )
    assert gain.steps == steps


def test_the_first_layer_is_found_where_a_block_does_not_call_its_convolution() -> None:
    block = ConvBatchNorm(Axis("picture", 1), Axis("maps", 2), 3)
    network = nn.Sequential(nn.Sequential(nn.Identity(), block), nn.Conv2d(2, 2, 1))
    picture = torch.full((1, 1, 4, 4), 7.0)
    for training, name in ((True, "0.1.conv"), (False, "0.1")):
        network.train(training)
        found = first_input(network, lambda: network(picture))
        assert found is not None
        assert found[0] == name
        torch.testing.assert_close(found[2], picture)


def test_a_network_that_normalises_its_own_input_may_be_given_anything() -> None:
    task = NumberTask(nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1)), batch_size=20)
    found = check_inputs(Material(task, CPU))
    assert found.level == "ok"
    assert "normalises" in found.sentence
    assert check_inputs(Material(NumberTask(batch_size=20), CPU)).level == "fault"
    assert check_inputs(Material(NumberTask(nn.ReLU()), CPU)).level == "skipped"


@pytest.mark.parametrize(
    ("bias", "level"),
    [(math.sqrt(2), "ok"), (2.0, "warning"), (3.0, "fault"), (1.0, "warning"), (math.nan, "fault")],
)
def test_the_first_loss_is_held_to_its_expectation(bias: float, level: str) -> None:
    network = nn.Linear(1, 1)
    nn.init.zeros_(network.weight)
    nn.init.constant_(network.bias, bias)
    assert check_first_loss(Material(NumberTask(network), CPU)).level == level  # 2 is expected


def test_a_loss_that_cannot_be_computed_is_a_finding() -> None:
    class Broken(NumberTask):
        def losses(self, network: nn.Module, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
            raise IndexError("Target 7 is out of bounds.\nmore")

    found = check_first_loss(Material(Broken(), CPU))
    assert found.level == "fault"
    assert "Target 7 is out of bounds." in found.sentence


def test_a_zero_last_layer_alone_is_no_symmetry() -> None:
    """Its gradient differs from unit to unit, so that its units part at the first step."""

    class Classes(NumberTask):
        def losses(self, network: nn.Module, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
            return {"class": nn.functional.cross_entropy(network(batch[:, None]), batch.long() % 3)}

    torch.manual_seed(0)
    first, last = nn.Linear(1, 5), nn.Linear(5, 3)
    network = nn.Sequential(first, nn.Tanh(), last)
    nn.init.zeros_(last.weight)
    assert check_first_weights(FirstGradient(Material(Classes(network), CPU))).level == "ok"
    for layer in (first, last):
        nn.init.constant_(layer.weight, 0.3)
        nn.init.zeros_(layer.bias)
    found = check_first_weights(FirstGradient(Material(Classes(network), CPU)))
    assert found.level == "fault"
    assert found.sentence.startswith("the first weights of 0 are all equal")


@pytest.mark.parametrize(
    ("scale", "level"),
    [(1.0, "ok"), (1e-4, "warning"), (1e-6, "fault"), (1e4, "warning"), (1e5 * 1.1, "fault")],
)
def test_gradients_of_a_chain_of_lines(scale: float, level: str) -> None:
    """Four layers 1, s, s, s: the gradient in each is the product of the others, s³ in the first and s² after
    it."""
    layers = [nn.Linear(4, 4, bias=False) for _ in range(4)]
    with torch.no_grad():
        for layer, weight in zip(layers, (1.0, scale, scale, scale), strict=True):
            layer.weight.copy_(weight * torch.eye(4))

    class Chain(NumberTask):
        def losses(self, network: nn.Module, batch: Any, moment: Moment) -> Mapping[str, Tensor]:
            return {"sum": network(batch[:, None].expand(-1, 4)).sum()}

    found = check_gradients(FirstGradient(Material(Chain(nn.Sequential(*layers)), CPU)))
    assert found.level == level, found.sentence
    assert f" is {scale:.2g} times " in found.sentence


def test_a_penalty_needs_weights() -> None:
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 2.0)
    nn.init.zeros_(network.bias)
    found = check_penalty(Material(NumberTask(network), CPU))
    # The mean of (2 n)² over n = 0, 1, 2, 3 is 14; the penalty 0.01 · ½ · 2² = 0.02.
    assert found.level == "ok"
    assert "has no training.l1 or l2" in found.sentence
    assert "from 14 to 14" in found.sentence
    own = check_penalty(Material(NumberTask(network, l2=0.5), CPU))  # adds 0.5 · ½ · 2² = 1
    assert (own.level, own.sentence) == (
        "ok",
        "training.l2 = 0.5 adds 1 to a first loss of 14, a modest part",
    )
    nn.init.zeros_(network.weight)
    assert check_penalty(Material(NumberTask(network), CPU)).level == "fault"


def test_a_task_without_labels_is_examined_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unlabelled(NumberTask):
        same_labels = mismatched = right_share = answer_widths = unused_classes = None  # type: ignore[assignment]

        def expected_losses(self) -> Mapping[str, float]:
            return {}

    monkeypatch.setattr(range_test, "MOST_STEPS", 40)
    findings = {finding.check: finding for finding in preflight(Unlabelled(batch_size=4)).findings}
    assert tuple(findings) == CHECKS
    unlabelled = {name for name, one in findings.items() if "have no labels" in one.sentence}
    assert unlabelled == set(OF_LABELS)
    assert all(findings[name].level == "skipped" for name in OF_LABELS)
    examined = ("inputs", "first weights", "penalty", "learning rate")
    assert all(findings[name].level != "skipped" for name in examined)


@pytest.mark.parametrize(("precision", "is_mixed"), [("32-true", False), ("bf16-mixed", True)])
def test_a_recipe_is_examined_in_its_own_precision(precision: str, is_mixed: bool) -> None:
    seen: set[bool] = set()

    class Noting(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.add(torch.is_autocast_enabled("cpu"))
            return super().forward(x)

    material = Material(NumberTask(Noting(1, 1), precision=precision), CPU)
    batch = material.first_batch(augmented=False)
    trial = material.trial()
    trial.first_losses(batch)
    trial.first_gradient(batch)
    trial.step(batch, 1e-3)
    assert seen == {is_mixed}
    assert trial.network.get_parameter("weight").dtype == torch.float32


def test_a_trial_goes_as_the_loop_goes() -> None:
    """Steps at the loop's rates leave the loop's weights."""
    task = NumberTask(nn.Sequential(nn.Linear(1, 3), nn.Dropout(0.5), nn.Linear(3, 1)), l2=0.1, max_norm=0.4)
    material = Material(task, CPU)
    batch, trial = material.first_batch(augmented=False), material.trial()
    learner = GradientLearner(task, Fabric(accelerator="cpu", devices=1), rate=0.01)
    for step in range(3):
        seed_noise(task.seed, step)
        losses = learner.step(batch, Moment(step, 0, 10))
        assert trial.step(batch, 0.01) == pytest.approx(sum(losses.values()))
    for ours, theirs in zip(trial.network.parameters(), learner.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
