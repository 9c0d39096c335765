"""Scores of channels, against numbers worked out by hand."""

import pytest
import torch
from torch import Tensor, nn

from tests.train.number_task import NumberTask
from tombola.errors import RecipeError, TrainingError
from tombola.train.networks.axis import Axes, Axis, members
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.transposed import Transposed
from tombola.train.prune.channel_scores import choose_channels, not_left_out, score_channels
from tombola.train.prune.least_squares import measure
from tombola.train.prune.shrink import is_reader, shrink
from tombola.train.prune.weights.mask import Mask


class Tiny(nn.Module):
    """One axis of three channels: a 1×1 convolution with norm writes it, a linear layer reads it."""

    def __init__(self) -> None:
        super().__init__()
        hidden = Axes().new("hidden", 3)
        self.first = ConvBatchNorm(Axis("in", 2, pinned=True), hidden, 1)
        self.second = Linear(hidden, Axis("out", 1, pinned=True))
        with torch.no_grad():
            self.first.conv.weight.copy_(
                torch.tensor([[1.0, -2.0], [3.0, 0.0], [-0.5, 0.5]])[..., None, None]
            )
            self.first.norm.weight.copy_(torch.tensor([0.1, -2.0, 1.0]))
            self.second.weight.copy_(torch.tensor([[4.0, -5.0, 6.0]]))


def test_size_of_what_writes() -> None:
    assert score_channels("l1", Tiny())["hidden"].tolist() == [1.5, 1.5, 0.5]


def test_a_transposed_convolution_writes_and_reads_as_another() -> None:
    hidden, out = Axes().new("hidden", 3), Axis("out", 2, pinned=True)
    first, second = Transposed(Axis("in", 1, pinned=True), hidden), Transposed(hidden, out)
    network = nn.Sequential(first, second)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([1.0, 3.0, -2.0])[:, None, None, None].expand(3, 1, 4, 4))
    assert score_channels("l1", network)["hidden"].tolist() == [1.0, 3.0, 2.0]
    assert sum(is_reader(member) for member in members(network)[hidden]) == 1
    narrow = shrink(network, {"hidden": [1, 2]}, lambda widths: _two_transposed(widths["hidden"]))
    with torch.no_grad():
        second.weight[:, 0] = 0
        x = torch.randn(1, 1, 2, 3)
        assert torch.allclose(narrow(x), network(x), atol=1e-6)
    with pytest.raises(RecipeError, match="does not fit transposed convolutions"):
        measure(network, NumberTask(), [])


def _two_transposed(width: int) -> nn.Module:
    hidden = Axes().new("hidden", width)
    return nn.Sequential(
        Transposed(Axis("in", 1, pinned=True), hidden), Transposed(hidden, Axis("out", 2, pinned=True))
    )


def test_scale_of_the_norm() -> None:
    assert score_channels("bn_scale", Tiny())["hidden"].tolist() == pytest.approx([0.1, 2.0, 1.0])


def test_what_a_mask_left_of_writers_and_readers() -> None:
    mask = Mask(
        {
            "first.conv.weight": torch.tensor([[1, 0], [1, 1], [0, 0]], dtype=torch.bool)[..., None, None],
            "second.weight": torch.tensor([[True, False, False]]),
        }
    )
    scores = score_channels("ticket", Tiny(), mask=mask)["hidden"]
    assert scores.tolist() == pytest.approx([(1 + 0 + 4) / 3, (3 + 0 + 0) / 3, 0.0])


def test_effect_on_the_loss_to_first_order() -> None:
    slopes = {"first.conv.weight": torch.tensor([[1.0, 1.0], [0.0, 7.0], [2.0, 4.0]])[..., None, None]}
    scores = score_channels("taylor", Tiny(), gradients=lambda: slopes)["hidden"]
    # (1·1 - 2·1)², (3·0 + 0·7)², (-0.5·2 + 0.5·4)², each over the two weights squared.
    assert (scores * 4).tolist() == pytest.approx([1.0, 0.0, 1.0])


def test_the_control_depends_on_the_seed_alone() -> None:
    one, again, other = (score_channels("random", Tiny(), seed=seed)["hidden"] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_ticket_needs_a_mask() -> None:
    with pytest.raises(TrainingError, match="needs the mask of an unstructured ticket"):
        score_channels("ticket", Tiny())
    other = Mask({"head.weight": torch.ones(2, 2, dtype=torch.bool)})
    with pytest.raises(TrainingError, match=r"head\.weight.*another network"):
        score_channels("ticket", Tiny(), mask=other)


def scores_of(**widths: int) -> dict[str, Tensor]:
    return {name: torch.arange(width, 0, -1).float() for name, width in widths.items()}


def test_the_best_stay_in_whole_blocks() -> None:
    kept = choose_channels(scores_of(a=64, b=24, c=8, d=5), 0.5)
    assert kept == {"a": list(range(32)), "b": list(range(16))}  # 12 is 8 or 16; c and d are one block
    assert choose_channels(scores_of(a=64), 0.01) == {"a": list(range(8))}
    assert choose_channels(scores_of(a=64, b=64), 0.5, block=16, leave_out=("b*",)).keys() == {"a"}
    assert choose_channels({"a": torch.tensor([1.0, 5.0, 3.0, 4.0])}, 0.5, block=1) == {"a": [1, 3]}


def test_choices_that_cannot_be() -> None:
    with pytest.raises(RecipeError, match=r"no axis is called 'stagez\.1'; near it are stages\.1"):
        choose_channels({**scores_of(stem=64), "stages.1": torch.ones(8)}, 0.5, leave_out=("stagez.1",))
    with pytest.raises(RecipeError, match=r"keep = 0\.5 in blocks of 8 cuts nothing"):
        choose_channels(scores_of(a=8), 0.5)
    with pytest.raises(RecipeError, match="0 < keep <= 1"):
        choose_channels(scores_of(a=64), 0.0)


def test_an_axis_is_left_out_without_those_that_are_called_after_it() -> None:
    names = ["stem", "stages.3", "stages.3.0.hidden", "stages.3.1.hidden", "head.0"]
    assert not_left_out(names, ("stages.3", "stem")) == ["stages.3.0.hidden", "stages.3.1.hidden", "head.0"]
    assert not_left_out(names, ("stages.3*",)) == ["stem", "head.0"]
    assert not_left_out(names, ("head",)) == names[:4]
    with pytest.raises(RecipeError, match=r"no axis is called 'stages.4'; near it are stages.3"):
        not_left_out(names, ("stages.4",))
