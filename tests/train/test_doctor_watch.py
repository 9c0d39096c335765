"""The watch over a training: its numbers by hand, its sentences on planted faults; it disturbs nothing."""

import json
import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tombola.train.loop.units import ENOUGH_EXAMPLES, UnitMeter
from tombola.train.loop.watch import Watch
from tombola.train.run.watch_row import WatchRow, from_csv, to_csv


def perceptron(activation: Callable[[], nn.Module], depth: int, *, width: int = 32) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inner, outer in pairwise([20, *[width] * depth]):
        layers += [nn.Linear(inner, outer), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def train(
    network: nn.Module, *, rate: float, every: int = 10, steps: range = range(50), watch: Watch | None = None
) -> Watch:
    """Plain SGD on 64 examples with labels that can be learned; seeded by the step as the loop does."""
    watch = watch or Watch(network, every)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(64, 20, generator=generator)
    y = x[:, :10].argmax(dim=1)
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    for step in steps:
        torch.manual_seed(step)
        watch.before_step(step)
        loss = nn.functional.cross_entropy(network(x), y)
        if not torch.isfinite(loss):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.after_step(step, float(loss.detach()))
    return watch


def test_gradient_and_ratio_by_hand() -> None:
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[3.0, 4.0]])
    watch = Watch(nn.Sequential(layer), every=1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    watch.before_step(0)
    loss = layer(torch.tensor([[0.6, 0.8]])).sum()  # its gradient is (0.6, 0.8), of length 1
    loss.backward()
    optimizer.step()
    watch.after_step(0, float(loss.detach()))
    assert watch.rows == [WatchRow(1, "0", gradient_norm=1.0, update_ratio=0.1)]


def test_looks_at_the_first_step_and_every_tenth() -> None:
    watch = train(perceptron(nn.ReLU, 2), rate=0.1, steps=range(25))
    assert sorted({row.step for row in watch.rows}) == [1, 10, 20]
    assert [row.layer for row in watch.rows if row.step == 10] == ["0", "2", "4", "1", "3"]
    assert train(perceptron(nn.ReLU, 2), rate=0.1, every=0).rows == []


def test_changes_nothing() -> None:
    def weights(every: int) -> list[Tensor]:
        network = perceptron(nn.Tanh, 2)
        network.insert(2, nn.Dropout(0.5))
        train(network, rate=0.1, every=every, steps=range(20))
        assert not any(module._forward_hooks for module in network.modules())
        return [*network.state_dict().values(), torch.rand(3)]

    for watched, alone in zip(weights(1), weights(0), strict=True):
        assert torch.equal(watched, alone)


def test_a_healthy_training_has_no_finding() -> None:
    assert train(perceptron(nn.ReLU, 3), rate=0.1).sentences == []
    assert train(perceptron(nn.Tanh, 3), rate=0.1).sentences == []


def kinds(watch: Watch) -> set[str]:
    words = ("exploded", "no gradient", "vanishes", "explodes", "lower training.learning_rate",
             "hardly move", "are dead", "are saturated")  # fmt: skip
    return {word for word in words for sentence in watch.sentences if word in sentence}


def test_sigmoids_twenty_layers_deep() -> None:
    watch = train(perceptron(nn.Sigmoid, 20), rate=0.1)
    assert kinds(watch) == {"vanishes"}
    assert "layers 0, 2, 4 and" in watch.sentences[0]


def test_a_rate_far_too_high() -> None:
    watch = train(perceptron(nn.ReLU, 3), rate=30.0)
    assert "the loss has exploded" in watch.sentences[0]
    assert "lower training.learning_rate" in watch.sentences[0]


def test_a_rate_far_too_low() -> None:
    assert kinds(train(perceptron(nn.ReLU, 3), rate=1e-7)) == {"hardly move"}


def test_weights_of_zero() -> None:
    network = perceptron(nn.Tanh, 3)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    assert kinds(train(network, rate=0.1)) == {"no gradient"}


def scale(network: nn.Module, names: Iterable[str], factor: float) -> None:
    for name in names:
        network.get_parameter(name).data.mul_(factor)


def test_first_weights_of_a_thousand_saturate() -> None:
    network = perceptron(nn.Tanh, 2)
    scale(network, ["0.weight"], 1000)
    watch = train(network, rate=1e-3)
    assert any("of layer 1 are saturated" in sentence for sentence in watch.sentences)
    assert not any("layers" in sentence for sentence in watch.sentences)


def test_gradients_that_explode() -> None:
    network = perceptron(nn.Identity, 12)
    # Every layer multiplies by about six on the way back; the first makes the answers small all the same.
    scale(network, [f"{2 * number}.weight" for number in range(3, 12)], 10)
    scale(network, ["0.weight"], 1e-9)
    scale(network, [name for name, _ in network.named_parameters() if name.endswith("bias")], 0)
    watch = train(network, rate=1e-20)
    assert any("explodes on its way back to layer 0:" in sentence for sentence in watch.sentences)


def test_each_finding_is_told_once_a_layer() -> None:
    watch = train(perceptron(nn.ReLU, 3), rate=1e-7, steps=range(80))
    assert len(watch.sentences) == 1


def test_the_alarm_by_hand() -> None:
    watch = Watch(nn.Identity(), 0)
    assert watch.after_step(0, 1.0) == []
    # 0.9 ** n of the first loss and the rest of 4: 1 + 3 (1 - 0.9 ** n) passes 3 at n = 11.
    told = [step for step in range(1, 30) if watch.after_step(step, 4.0)]
    assert told == [11]
    assert (
        "step 12: the loss has exploded: 3.06 (smoothed) is more than 3 times the first, 1;"
        in watch.sentences[0]
    )


def test_a_loss_of_a_network_that_knew_much_may_be_three_times_the_first() -> None:
    watch = Watch(nn.Identity(), 0, ignorant_loss=2.3)
    assert watch.after_step(0, 0.01) == []
    assert not [step for step in range(1, 60) if watch.after_step(step, 2.0)]
    assert [step for step in range(60, 99) if watch.after_step(step, 9.0)] == [60]


def test_a_loss_that_goes_below_zero_cannot_explode() -> None:
    watch = Watch(nn.Identity(), 0)
    losses = [0.5, *[-9.0] * 20, *[7.0] * 60]
    assert not [step for step, loss in enumerate(losses) if watch.after_step(step, loss)]


def test_interrupted_and_resumed_tells_the_same() -> None:
    def network() -> nn.Sequential:
        dying = perceptron(nn.ReLU, 3)
        nn.init.constant_(dying.get_parameter("2.bias"), -100)
        return dying

    whole = train(network(), rate=0.1, every=3, steps=range(40))
    parts = network()
    first = train(parts, rate=0.1, every=3, steps=range(17))
    state = json.loads(json.dumps(first.state(), allow_nan=False))
    second = Watch(parts, 3)
    second.restore(state, from_csv(to_csv(first.rows)))
    train(parts, rate=0.1, steps=range(17, 40), watch=second)
    assert second.rows == whole.rows
    assert second.sentences == whole.sentences != []
    assert second.state() == whole.state()


def test_a_state_that_is_none() -> None:
    with pytest.raises(KeyError):
        Watch(nn.Identity(), 1).restore({"first_loss": None}, [])


# Units.


def look(meter: UnitMeter, network: nn.Module, x: Tensor) -> dict[str, Any]:
    meter.arm()
    network(x)
    return {reading.layer: reading for reading in meter.read()}


def test_a_unit_is_dead_after_enough_silent_examples() -> None:
    network = nn.Sequential(nn.ReLU())
    meter = UnitMeter(network)
    x = torch.ones(ENOUGH_EXAMPLES // 2, 4)
    x[:, :3] = -1
    assert look(meter, network, x)["0"].dead_share is None
    x[0, 2] = 1  # one example of many is a sign of life
    assert look(meter, network, x)["0"].dead_share == 0.5
    x[0, 1] = 1
    assert look(meter, network, x)["0"].dead_share == 0.25


def test_a_unit_of_a_map_is_a_channel() -> None:
    network = nn.Sequential(nn.ReLU6())
    maps = -torch.ones(ENOUGH_EXAMPLES, 4, 5, 6)
    maps[3, 1, 2, 2] = 0.1
    assert look(UnitMeter(network), network, maps)["0"].dead_share == 0.75
    sequences = -torch.ones(ENOUGH_EXAMPLES, 7, 2)
    sequences[0, 3, 1] = 1
    assert look(UnitMeter(network), network, sequences)["0"].dead_share == 0.5


def test_one_module_in_two_places() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            self.act(x[:0])  # no example at all
            self.act(-x[:, :2])
            out: Tensor = self.act(x)
            return out

    network = Twice()
    seen = look(UnitMeter(network), network, torch.ones(ENOUGH_EXAMPLES, 3))
    assert {layer: reading.dead_share for layer, reading in seen.items()} == {
        "act": 1.0,
        "act (3 units)": 0.0,
    }


@given(st.lists(st.floats(-8, 8), min_size=1, max_size=20))
def test_saturated_is_where_the_slope_is_a_twentieth(values: list[float]) -> None:
    slopes = [1 - math.tanh(value) ** 2 for value in values]
    if any(abs(slope - 0.05) < 1e-4 for slope in slopes):
        return
    wanted = sum(slope < 0.05 for slope in slopes) / len(slopes)
    network = nn.ModuleDict({"tanh": nn.Tanh(), "sigmoid": nn.Sigmoid()})
    meter = UnitMeter(network)
    meter.arm()
    network["tanh"](torch.tensor(values))
    network["sigmoid"](2 * torch.tensor(values))  # sigmoid(2 x) = (1 + tanh x) / 2
    for reading in meter.read():
        assert reading.saturated_share == pytest.approx(wanted)


# The table.

SHARES = st.none() | st.floats(0, 1)
NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=9)


@given(
    st.lists(st.builds(WatchRow, st.integers(1, 10**9), NAMES, SHARES, SHARES, SHARES, SHARES), max_size=3)
)
def test_the_table_reads_back(rows: list[WatchRow]) -> None:
    assert from_csv(to_csv(rows)) == rows


@pytest.mark.parametrize(
    "text", ["step,layer\n1,a,b\n", "step,layer\nx,a\n", "step\n\n1\n", "h\n1,a,1,1,1,1,1\n"]
)
def test_a_table_of_something_else(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_csv(text)
