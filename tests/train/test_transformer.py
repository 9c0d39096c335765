"""Multi-head attention and what is made of it, against PyTorch's own layer and worked examples."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axes, Axis, members, widths
from tombola.train.networks.caption.captioner import CaptionerSettings, build_captioner
from tombola.train.networks.caption.transformer import DecoderLayer, TransformerDecoder, TransformerSettings
from tombola.train.networks.layers.multi_head import MultiHeadAttention
from tombola.train.networks.layers.positions import sinusoids
from tombola.train.prune.shrink import shrink
from tombola.train.recipe.recipe import validate

SETTINGS = TransformerSettings(kind="transformer", layers=2, width=12, heads=3, hidden=20, dropout=0.0)


def test_multi_head_attention_is_pytorchs() -> None:
    torch.manual_seed(0)
    ours = MultiHeadAttention(Axis("d", 12), Axis("e", 7), Axis("heads", 3), 4)
    theirs = nn.MultiheadAttention(12, 3, kdim=7, vdim=7, batch_first=True)
    with torch.no_grad():
        parts = [ours.query, ours.key, ours.value]
        for weight, part in zip(
            (theirs.q_proj_weight, theirs.k_proj_weight, theirs.v_proj_weight), parts, strict=True
        ):
            weight.copy_(part.weight)
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    queries, cells = torch.randn(2, 5, 12), torch.randn(2, 6, 7)
    allowed = torch.rand(5, 6) > 0.4
    allowed[:, 0] = True
    for mask in (None, allowed):
        wanted, weights = theirs(
            queries, cells, cells, attn_mask=None if mask is None else ~mask, average_attn_weights=False
        )
        found, looked = ours(queries, cells, mask)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(looked, weights)


def plain_attention() -> MultiHeadAttention:
    """One head whose maps are the identity."""
    layer = MultiHeadAttention(Axis("d", 2), Axis("e", 2), Axis("heads", 1), 2)
    for part in (layer.query, layer.key, layer.value, layer.out):
        nn.init.eye_(part.weight)
        nn.init.zeros_(part.bias)
    return layer


def test_self_attention_as_it_is_worked_out_by_hand() -> None:
    x = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
    answers, weights = plain_attention()(x, x)
    assert weights[0, 0, 0].tolist() == pytest.approx([0.401112, 0.197776, 0.401112], abs=1e-6)
    assert answers[0, 0].tolist() == pytest.approx([0.802224, 0.598888], abs=1e-6)
    causal = plain_attention()(x, x, torch.ones(3, 3, dtype=torch.bool).tril())[1]
    assert causal[0, 0, 1].tolist() == pytest.approx([0.330238, 0.669762, 0.0], abs=1e-6)


def test_without_positions_order_does_not_matter() -> None:
    torch.manual_seed(1)
    layer = MultiHeadAttention(width := Axis("d", 6), width, Axis("heads", 2), 3)
    x, order = torch.randn(1, 5, 6), torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(layer(x[:, order], x[:, order])[0], layer(x, x)[0][:, order])


def test_positions_are_sines_and_cosines() -> None:
    found = sinusoids(torch.arange(7), 4).numpy()
    place = np.arange(7)
    wanted = [np.sin(place), np.sin(place / 100), np.cos(place), np.cos(place / 100)]
    np.testing.assert_allclose(found, np.stack(wanted, 1), atol=1e-6)


def decoder(seed: int = 2) -> TransformerDecoder:
    torch.manual_seed(seed)
    return TransformerDecoder(SETTINGS, Axis("features", 8), 11, Axes()).eval()


def test_a_transformer_says_the_same_step_by_step_and_sees_no_later_word() -> None:
    one, cells = decoder(), torch.randn(2, 6, 8)
    tokens = torch.randint(0, 11, (2, 5, 4))
    memory = one.remember(cells)
    logits, weights = one(tokens, memory)
    assert (logits.shape, weights.shape) == ((2, 5, 4, 11), (2, 5, 4, 6))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5, 4))
    state = one.start(memory, 5, 4)
    for step in range(4):
        found, state, looked = one.step(tokens[:, :, step], state, memory)
        torch.testing.assert_close(found, logits[:, :, step])
        torch.testing.assert_close(looked, weights[:, :, step])
    later = tokens.clone()
    later[:, :, 3] = (later[:, :, 3] + 1) % 11
    torch.testing.assert_close(one(later, memory)[0][:, :, :3], logits[:, :, :3])
    assert not torch.allclose(one(later, memory)[0][:, :, 3], logits[:, :, 3])


def test_the_map_of_a_word_is_the_last_layers_mean_over_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    one, cells = decoder(), torch.randn(1, 6, 8)
    seen: list[Tensor] = []
    last = one.layers[-1]
    assert isinstance(last, DecoderLayer)
    attend = last.picture.attend

    def remember(*feeds: Tensor) -> tuple[Tensor, Tensor]:
        answers, weights = attend(*feeds)
        seen.append(weights)
        return answers, weights

    monkeypatch.setattr(last.picture, "attend", remember)
    _, weights = one(torch.randint(0, 11, (1, 1, 3)), one.remember(cells))
    torch.testing.assert_close(weights[0, 0], seen[0][0].mean(0))


def test_a_head_is_cut_out_whole() -> None:
    settings = CaptionerSettings(backbone="resnet20", width=0.25, features=8, decoder=SETTINGS)
    network = build_captioner(settings, 11).eval()
    assert widths(network)["decoder.layers.0.words.heads"] == 3
    layer = network.get_submodule("decoder.layers.0")
    assert isinstance(layer, DecoderLayer)
    with torch.no_grad():
        for part in (layer.words.query, layer.words.key, layer.words.value):
            part.weight[4:8] = part.bias[4:8] = 0.0
        layer.words.out.weight[:, 4:8] = 0.0
    narrow = shrink(
        network,
        {"decoder.layers.0.words.heads": [0, 2]},
        lambda narrow: build_captioner(settings, 11, narrow),
    )
    maps, tokens = torch.randn(2, 16, 3, 2), torch.randint(0, 11, (2, 1, 4))
    torch.testing.assert_close(narrow(maps, tokens)[0], network(maps, tokens)[0])
    assert next(axis for axis in members(network) if axis.name == "decoder.width").pinned


@pytest.mark.parametrize(
    ("decoder", "reason"),
    [
        ({"kind": "transformer", "heads": 3}, r"decoder: width = 256 is no multiple of heads = 3"),
        ({"kind": "transformer", "width": 7}, r"decoder.width = 7: should be a multiple of 2"),
        ({"kind": "transformer", "cell": "gru"}, r"decoder.cell is not a known key; other kinds have it"),
        ({"kind": "mamba"}, r"decoder.kind = 'mamba' is not known; choose 'recurrent', 'transformer'"),
        ({"kind": ["transformer"]}, r"decoder.kind = .* is not known"),
        ({"units": 0}, r"decoder.units = 0: should be greater than or equal to 1"),
    ],
)
def test_a_decoder_that_cannot_be_is_refused(decoder: object, reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        validate(CaptionerSettings, {"decoder": decoder}, Path("recipe.toml"))
