from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from tombola.errors import RecipeError, TrainingError
from tombola.train.prune.weights.controls import error_barrier, line_between, random_mask
from tombola.train.prune.weights.criteria import prune_smallest, round_shares
from tombola.train.prune.weights.mask import Mask
from tombola.train.prune.weights.prunable import prunable


def test_the_worked_example_of_the_course() -> None:
    trained = {"w": torch.tensor([0.5, -0.1, 0.3, -0.8])}
    mask = prune_smallest(trained, Mask.full(trained), 0.5)
    assert mask["w"].tolist() == [True, False, False, True]
    first = {"w": torch.tensor([0.2, 0.4, -0.1, -0.3])}
    assert mask.applied(first)["w"].tolist() == pytest.approx([0.2, 0.0, 0.0, -0.3])
    assert first["w"][1] == pytest.approx(0.4)  # the weights given are not changed


def lenet(seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )
    return prunable(network)


def test_twenty_percent_a_round_of_lenet_300_100() -> None:
    weights = lenet()
    mask = Mask.full(weights)
    assert mask.total == 266_200
    left = []
    for _ in range(15):
        mask = prune_smallest(weights, mask, 0.2)
        left.append(mask.living / mask.total)
    assert left[6] == pytest.approx(0.2097, abs=1e-4)
    assert left[14] == pytest.approx(0.0352, abs=1e-4)
    assert [share <= 0.036 for share in left] == [False] * 14 + [True]


@given(st.integers(0, 10_000), st.floats(0.01, 0.99), st.sampled_from(["global", "layer"]))
def test_what_dies_is_smaller_than_what_lives(seed: int, share: float, scope: str) -> None:
    torch.manual_seed(seed)
    weights = {"a": torch.randn(6, 5), "b": torch.randn(7) * 3, "c": torch.randn(2, 2, 3)}
    before = prune_smallest(weights, Mask.full(weights), 0.3)
    after = prune_smallest(weights, before, share, scope=scope)  # type: ignore[arg-type]
    for name in weights:
        assert not (after[name] & ~before[name]).any()  # dead stays dead
        assert after[name].any()  # a layer never dies
    if scope == "global":
        killed = torch.cat([w.abs()[before[n] & ~after[n]] for n, w in weights.items()])
        # The largest of a layer is spared even where it is small.
        spared = {n: w.abs().max() for n, w in weights.items()}
        alive = torch.cat([w.abs()[after[n] & (w.abs() < spared[n])] for n, w in weights.items()])
        assert len(killed) == min(round(share * before.living), before.living - 3)
        if len(killed) and len(alive):
            assert killed.max() <= alive.min()
    else:
        for name in weights:
            count = int(before[name].sum())
            assert int(after[name].sum()) == max(count - round(share * count), 1)


def test_the_output_layer_at_half_the_rate() -> None:
    weights = {"hidden": torch.randn(100, 10), "out": torch.randn(10, 10)}
    mask = prune_smallest(weights, Mask.full(weights), 0.2, rates={"out": 0.5})
    assert int(mask["hidden"].sum()) == 800
    assert int(mask["out"].sum()) == 90


@pytest.mark.parametrize("schedule", ["geometric", "cubic"])
@given(sparsity=st.floats(0.05, 0.99), rounds=st.integers(1, 12))
def test_rounds_end_at_the_sparsity(schedule: str, sparsity: float, rounds: int) -> None:
    alive = 1.0
    for share in round_shares(sparsity, rounds, schedule):  # type: ignore[arg-type]
        assert 0 < share < 1
        alive *= 1 - share
    assert alive == pytest.approx(1 - sparsity, abs=1e-9)


def test_cubic_takes_most_at_first() -> None:
    alive, dead = 1.0, []
    for share in round_shares(0.9, 3, "cubic"):
        alive *= 1 - share
        dead.append(1 - alive)
    assert dead == pytest.approx([0.9 * (1 - 8 / 27), 0.9 * (1 - 1 / 27), 0.9])


def test_layers_left_out_by_name() -> None:
    network = nn.Sequential()
    network.stem = nn.Conv2d(3, 4, 3)
    network.norm = nn.BatchNorm2d(4)
    network.head = nn.Linear(4, 2)
    assert list(prunable(network)) == ["stem.weight", "head.weight"]
    assert list(prunable(network, biases=True)) == ["stem.weight", "stem.bias", "head.weight", "head.bias"]
    assert list(prunable(network, leave_out=["stem"])) == ["head.weight"]
    assert list(prunable(network, leave_out=["st*"])) == ["head.weight"]
    with pytest.raises(RecipeError, match="no layer is called 'hed'; near it are head"):
        prunable(network, leave_out=["hed"])
    with pytest.raises(RecipeError, match="nothing is left to prune"):
        prunable(network, leave_out=["*"])


def test_a_mask_survives_its_file(tmp_path: Path) -> None:
    mask = prune_smallest(lenet(), Mask.full(lenet()), 0.5)
    mask.write(tmp_path / "mask.safetensors")
    again = Mask.read(tmp_path / "mask.safetensors")
    assert again.overlap(mask) == 1.0
    assert list(tmp_path.iterdir()) == [tmp_path / "mask.safetensors"]


def test_files_that_are_no_masks(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        Mask.read(tmp_path / "gone.safetensors")
    path = tmp_path / "weights.safetensors"
    save_file({"w": torch.randn(3)}, path)
    with pytest.raises(TrainingError, match="is no mask: w holds other values"):
        Mask.read(path)
    save_file({"w": torch.tensor([0, 2], dtype=torch.uint8)}, path)
    with pytest.raises(TrainingError, match="is no mask: w holds other values"):
        Mask.read(path)
    path.write_bytes(b"not a file of tensors")
    with pytest.raises(TrainingError, match="cannot be read"):
        Mask.read(path)


def test_a_mask_of_another_network() -> None:
    mask = Mask.full({"w": torch.zeros(3)})
    with pytest.raises(TrainingError, match="the mask speaks of w, which the network has not"):
        mask.applied({"v": torch.zeros(3)})
    with pytest.raises(TrainingError, match=r"the mask of w has shape \[3\], in the network it is \[4\]"):
        mask.applied({"w": torch.zeros(4)})


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2.0])
def test_shares_that_cannot_be(share: float) -> None:
    weights = {"w": torch.randn(4)}
    with pytest.raises(RecipeError, match="the share to prune"):
        prune_smallest(weights, Mask.full(weights), share)


def test_random_masks_have_the_same_shares_and_overlap_by_chance() -> None:
    mask = prune_smallest(lenet(), Mask.full(lenet()), 0.7)
    first, second = random_mask(mask, 1), random_mask(mask, 2)
    assert first.sparsities() == mask.sparsities()
    assert first.overlap(mask) == pytest.approx(first.overlap_by_chance(mask), abs=0.003)
    assert first.overlap(second) == pytest.approx(first.overlap_by_chance(second), abs=0.003)
    assert mask.overlap(mask) == 1.0


def test_masks_of_two_trainings_of_one_start_overlap_more_than_chance() -> None:
    start = lenet()
    noisy = {name: w + 0.1 * w.abs().mean() * torch.randn_like(w) for name, w in start.items()}
    first = prune_smallest(start, Mask.full(start), 0.5)
    second = prune_smallest(noisy, Mask.full(noisy), 0.5)
    assert first.overlap(second) > first.overlap_by_chance(second) + 0.3


def test_the_line_between_two_networks() -> None:
    first = {"w": torch.tensor([0.0, 2.0]), "n": torch.tensor(3)}
    second = {"w": torch.tensor([4.0, 2.0]), "n": torch.tensor(5)}
    assert line_between(first, second, 0.25)["w"].tolist() == [1.0, 2.0]
    assert line_between(first, second, 1.0)["n"] == 3
    assert error_barrier([0.1, 0.5, 0.3]) == pytest.approx(0.3)
    assert error_barrier([0.2, 0.2, 0.2]) == 0.0
