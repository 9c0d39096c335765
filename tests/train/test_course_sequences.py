"""Recurrent cells and attention against worked examples, PyTorch's own layers, and backpropagation through
time written out in NumPy."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axes, Axis, members
from tombola.train.networks.caption.attention import Attention
from tombola.train.networks.caption.captioner import CaptionerSettings, build_captioner
from tombola.train.networks.caption.recurrent import RecurrentDecoder, RecurrentSettings
from tombola.train.networks.layers.cells import CELLS, CellName, GruCell, LstmCell, RnnCell

Array = NDArray[np.float64]


def set_weights(layer: nn.Linear, weight: object, bias: object) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weight).view_as(layer.weight))
        layer.bias.copy_(torch.as_tensor(bias).expand_as(layer.bias))


def rnn_of_the_text() -> RnnCell:
    cell = RnnCell(Axis("x", 1), Axis("h", 2))
    set_weights(cell.input, [[1.0], [-1.0]], [0.1, 0.0])
    set_weights(cell.hidden, [[0.5, -0.3], [0.2, 0.4]], 0.0)
    return cell


def run(cell: nn.Module, x: Tensor, state: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
    """The states after each of x [T, reads]."""
    states = []
    for one in x:
        state = cell(one, state)
        states.append(state)
    return states


def test_three_steps_of_an_rnn() -> None:
    x = torch.tensor([[1.0], [0.0], [2.0]])
    states = run(rnn_of_the_text(), x, (torch.zeros(2),))
    wanted = [[0.800499, -0.761594], [0.622286, -0.143540], [0.985340, -0.958972]]
    torch.testing.assert_close(
        torch.stack([one for (one,) in states]), torch.tensor(wanted), atol=1e-6, rtol=0
    )


def test_three_steps_of_an_lstm_of_one_unit() -> None:
    cell = LstmCell(Axis("x", 1), Axis("h", 1))
    set_weights(cell.input, [1.0] * 4, 0.0)
    set_weights(cell.hidden, [0.5] * 4, 0.0)
    states = run(cell, torch.tensor([[1.0], [-1.0], [0.5]]), (torch.zeros(1), torch.zeros(1)))
    found = [(h.item(), c.item()) for h, c in states]
    wanted = [(0.369606, 0.556770), (-0.010883, -0.035488), (0.159327, 0.262349)]
    assert found == [pytest.approx(row, abs=1e-6) for row in wanted]


def test_an_lstm_of_zeros_halves_its_cell_and_open_gates_keep_it() -> None:
    cell = LstmCell(Axis("x", 1), Axis("h", 1))
    set_weights(cell.input, [0.0] * 4, 0.0)
    set_weights(cell.hidden, [0.0] * 4, 0.0)
    h, c = cell(torch.zeros(1), (torch.zeros(1), torch.ones(1)))
    assert (h.item(), c.item()) == (pytest.approx(0.231059, abs=1e-6), 0.5)
    set_weights(cell.input, [0.0] * 4, [-100.0, 100.0, 0.0, 0.0])  # i = 0, f = 1
    assert cell(torch.zeros(1), (torch.zeros(1), torch.tensor([0.7])))[1].item() == pytest.approx(0.7)


def test_a_gru_resets_after_the_product() -> None:
    cell = GruCell(Axis("x", 1), Axis("h", 1))
    set_weights(cell.input, [1.0] * 3, 0.0)
    set_weights(cell.hidden, [0.5] * 3, [0.0, 0.0, 0.25])
    states = run(cell, torch.tensor([[1.0], [-1.0]]), (torch.tensor([0.8]),))
    assert states[-1][0].item() == pytest.approx(-0.120790, abs=1e-6)


@pytest.mark.parametrize(("name", "twin"), [("rnn", nn.RNNCell), ("lstm", nn.LSTMCell), ("gru", nn.GRUCell)])
def test_cells_are_those_of_pytorch(name: CellName, twin: type[nn.Module]) -> None:
    torch.manual_seed(0)
    cell, other = CELLS[name](Axis("x", 5), Axis("h", 7)), twin(5, 7)
    other.load_state_dict(
        {
            "weight_ih": cell.input.weight,
            "weight_hh": cell.hidden.weight,
            "bias_ih": cell.input.bias,
            "bias_hh": cell.hidden.bias,
        }
    )
    x, state = torch.randn(3, 5), tuple(torch.randn(3, 7) for _ in range(cell.states))
    wanted = other(x, state if len(state) > 1 else state[0])
    for one, same in zip(cell(x, state), wanted if len(state) > 1 else (wanted,), strict=True):
        torch.testing.assert_close(one, same)


def test_backpropagation_through_time_written_out() -> None:
    """dL/dh_t = V + Wᵀ(1 - h²)dL/dh_{t+1} and the sums over time, for L = Σ v·h_t; in float64."""
    torch.manual_seed(1)
    cell = RnnCell(Axis("x", 3), Axis("h", 4)).double()
    x, v = torch.randn(6, 3, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    states = run(cell, x, (torch.zeros(4, dtype=torch.float64),))
    sum((h @ v for (h,) in states), torch.zeros(())).backward()

    hidden: list[Array] = [h.detach().numpy() for (h,) in states]
    w = cell.hidden.weight.detach().numpy()
    grad_w, grad_u, grad_b, later = np.zeros((4, 4)), np.zeros((4, 3)), np.zeros(4), np.zeros(4)
    for t in reversed(range(6)):
        inner = (v.numpy() + later) * (1 - hidden[t] ** 2)
        grad_w += np.outer(inner, hidden[t - 1] if t else np.zeros(4))
        grad_u += np.outer(inner, x[t].numpy())
        grad_b += inner
        later = w.T @ inner
    for parameter, wanted in (
        (cell.hidden.weight, grad_w), (cell.input.weight, grad_u), (cell.input.bias, grad_b)
    ):  # fmt: skip
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad.numpy(), wanted, rtol=1e-12)


QUERY, CELLS_OF_TEXT = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])


def attention(name: str) -> Attention:
    return Attention(name, Axis("s", 2), Axis("h", 2), 2, Axes())  # type: ignore[arg-type]


def looked(layer: Attention) -> list[float]:
    weights: list[float] = layer(QUERY, layer.keys(CELLS_OF_TEXT))[0, 0].tolist()
    return weights


def test_attention_as_the_text_works_it_out() -> None:
    assert looked(attention("none")) == pytest.approx([1 / 3] * 3)
    dot = looked(attention("dot"))
    assert dot == pytest.approx([0.422319, 0.155362, 0.422319], abs=1e-6)
    context = (torch.tensor(dot) @ CELLS_OF_TEXT[0]).tolist()
    assert context == pytest.approx([0.844638, 0.577681], abs=1e-6)
    general = attention("general")
    assert isinstance(general.query, nn.Linear)
    set_weights(general.query, [[1.0, 0.0], [2.0, 1.0]], 0.0)  # s W h for W = [[1, 2], [0, 1]]
    assert looked(general) == pytest.approx([0.090031, 0.244728, 0.665241], abs=1e-6)
    eye = torch.eye(2).tolist()
    additive = attention("additive")
    for layer in (additive.query, additive.key):
        assert isinstance(layer, nn.Linear)
        set_weights(layer, eye, 0.0)
    with torch.no_grad():
        additive.score.weight.fill_(1.0)
    assert looked(additive) == pytest.approx([0.204462, 0.357645, 0.437893], abs=1e-6)


def test_a_dot_product_is_of_equals() -> None:
    with pytest.raises(RecipeError, match=r"as many decoder\.units \(2\) as features \(3\)"):
        Attention("dot", Axis("s", 2), Axis("h", 3), 2, Axes())


def test_a_reduced_general_attention_is_a_general_one_of_low_rank() -> None:
    torch.manual_seed(2)
    query, cell = Axis("s", 4), Axis("h", 6)
    reduced = Attention("reduced", query, cell, 2, Axes())
    general = Attention("general", query, cell, 2, Axes())
    for layer in (reduced.query, reduced.key, general.query):
        assert isinstance(layer, nn.Linear)
        nn.init.zeros_(layer.bias)
    assert isinstance(reduced.query, nn.Linear)
    assert isinstance(reduced.key, nn.Linear)
    assert isinstance(general.query, nn.Linear)
    with torch.no_grad():
        general.query.weight.copy_(reduced.key.weight.T @ reduced.query.weight)
    asked, cells = torch.randn(2, 3, 4), torch.randn(2, 5, 6)
    torch.testing.assert_close(reduced(asked, reduced.keys(cells)), general(asked, general.keys(cells)))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("name", ["none", "dot", "general", "reduced", "additive"])
def test_a_captioner_of_each_kind_says_the_same_step_by_step(cell: CellName, name: str) -> None:
    """Teacher forcing is the same steps, all at once; and every weight lies on named axes."""
    torch.manual_seed(3)
    decoder = RecurrentSettings(cell=cell, attention=name, units=8, embedding=6, attention_units=4)  # type: ignore[arg-type]
    network = build_captioner(
        CaptionerSettings(backbone="resnet20", width=0.25, features=8, decoder=decoder), 11
    ).eval()
    maps, tokens = torch.randn(2, 16, 3, 2), torch.randint(0, 11, (2, 5, 4))
    logits, weights = network(maps, tokens)
    assert (logits.shape, weights.shape) == ((2, 5, 4, 11), (2, 5, 4, 6))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5, 4))
    memory = network.remember(maps)
    state = network.decoder.start(memory, 5, 4)
    for step in range(4):
        found, state, looked_at = network.decoder.step(tokens[:, :, step], state, memory)
        torch.testing.assert_close(found, logits[:, :, step])
        torch.testing.assert_close(looked_at, weights[:, :, step])
    assert any(axis.name == "decoder.units" for axis in members(network))


def test_stacked_layers_are_pytorchs_and_hand_on_what_they_read() -> None:
    torch.manual_seed(4)
    settings = RecurrentSettings(cell="lstm", layers=3, attention="none", units=7, embedding=5)
    decoder = RecurrentDecoder(settings, Axis("features", 4), 11, Axes()).eval()
    nn.init.zeros_(decoder.gate.weight)
    nn.init.zeros_(decoder.gate.bias)
    theirs = nn.LSTM(9, 7, num_layers=3, batch_first=True)
    with torch.no_grad():
        for number, cell in enumerate([decoder.cell, *decoder.above]):
            for ours, name in ((cell.input, "ih"), (cell.hidden, "hh")):
                getattr(theirs, f"weight_{name}_l{number}").copy_(ours.weight)
                getattr(theirs, f"bias_{name}_l{number}").copy_(ours.bias)
    cells, tokens = torch.randn(1, 2, 4), torch.randint(0, 11, (1, 1, 6))
    memory = decoder.remember(cells)
    state = decoder.start(memory, 1, 6)
    context = cells.mean(1) / 2  # a gate of zeros lets half through
    reads = torch.cat([decoder.words.weight[tokens[0, 0]], context.expand(6, 4)], 1)
    first = tuple(torch.stack([one[0] for one in state[part::2]]) for part in (0, 1))
    wanted, _ = theirs(reads[None], first)
    said = torch.cat([wanted[0], context.expand(6, 4)], 1)
    logits, _ = decoder(tokens, memory)
    torch.testing.assert_close(logits[0, 0], decoder.words(decoder.last(said)))


def test_residual_layers_hand_on_what_they_read() -> None:
    torch.manual_seed(5)
    settings = RecurrentSettings(cell="rnn", layers=3, residual=True, units=7, embedding=5)
    features = Axis("features", 4)
    decoder = RecurrentDecoder(settings, features, 11, Axes()).eval()
    alone = RecurrentDecoder(settings.model_copy(update={"layers": 1}), features, 11, Axes()).eval()
    # Those above say nothing, and what is asked by does not matter.
    for part in (*decoder.above.parameters(), *decoder.attention.query.parameters(), decoder.gate.weight):
        nn.init.zeros_(part)
    weights = {name: one for name, one in decoder.state_dict().items() if not name.startswith("above.")}
    alone.load_state_dict(
        {**weights, "first.weight": weights["first.weight"][:7], "first.bias": weights["first.bias"][:7]}
    )
    cells, tokens = torch.randn(1, 2, 4), torch.randint(0, 11, (1, 2, 6))
    wanted, _ = alone(tokens, alone.remember(cells))
    torch.testing.assert_close(decoder(tokens, decoder.remember(cells))[0], wanted)
