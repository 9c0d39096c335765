"""Recurrent layers beside onnxruntime's own operators, worked examples, and truncated backpropagation through
time written out in NumPy."""

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.layers.cells import CellName, GruResetFirstCell
from tombola.train.networks.layers.recurrence import OutputRecurrence, Recurrence

Array = NDArray[np.float64]
# Cell -> the operator, which of our rows are its gates, in its order, and its attributes.
OPERATORS: dict[CellName, tuple[str, list[int], dict[str, Any]]] = {
    "rnn": ("RNN", [0], {}),
    "lstm": ("LSTM", [0, 3, 1, 2], {}),
    "gru": ("GRU", [1, 0, 2], {"linear_before_reset": 1}),
    "gru_reset_first": ("GRU", [1, 0, 2], {"linear_before_reset": 0}),
}


def cells_of(layer: Recurrence) -> list[nn.Module]:
    """Those of its lowest layer, one a direction."""
    ways = layer.layers[0]
    assert isinstance(ways, nn.ModuleList)
    return list(ways)


def in_onnx(name: CellName, cells: list[nn.Module], x: Tensor) -> NDArray[np.float32]:
    """The operator with the weights of one cell for each direction: [T, directions, units]."""
    kind, order, more = OPERATORS[name]

    def gates(rows: Tensor) -> Tensor:
        return torch.cat([rows.chunk(len(order))[gate] for gate in order])

    def hidden(cell: nn.Module, part: str) -> Tensor:
        layers = [getattr(cell, one) for one in ("hidden", "candidate") if hasattr(cell, one)]
        return gates(torch.cat([getattr(layer, part) for layer in layers]))

    tensors = {
        "W": torch.stack([gates(cell.get_parameter("input.weight")) for cell in cells]),
        "R": torch.stack([hidden(cell, "weight") for cell in cells]),
        "B": torch.stack(
            [torch.cat([gates(cell.get_parameter("input.bias")), hidden(cell, "bias")]) for cell in cells]
        ),
    }
    direction = "bidirectional" if len(cells) == 2 else "forward"
    units = tensors["R"].shape[2]
    node = helper.make_node(kind, ["X", "W", "R", "B"], ["Y"], hidden_size=units, direction=direction, **more)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, list(x.shape))],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(one.detach().numpy(), key) for key, one in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, {"X": x.numpy()})[0]
    return found[:, :, 0]


@pytest.mark.parametrize("name", list(OPERATORS))
def test_a_layer_is_onnxs_operator(name: CellName) -> None:
    torch.manual_seed(0)
    for back in (False, True):
        layer = Recurrence(name, Axis("x", 3), 5, Axes(), back=back)
        x = torch.randn(7, 1, 3)
        wanted = in_onnx(name, cells_of(layer), x).reshape(7, -1)
        with torch.no_grad():
            np.testing.assert_allclose(layer(x.transpose(0, 1))[0].numpy(), wanted, atol=1e-6)


def test_a_gru_that_resets_before_the_product() -> None:
    cell = GruResetFirstCell(Axis("x", 1), Axis("h", 1))
    with torch.no_grad():
        for layer, weight in ((cell.input, 1.0), (cell.hidden, 0.5), (cell.candidate, 0.5)):
            layer.weight.fill_(weight)
            layer.bias.zero_()
        cell.candidate.bias.fill_(0.25)
    state = (torch.tensor([0.8]),)
    for x in (1.0, -1.0):
        state = cell(torch.tensor([x]), state)
    assert state[0].item() == pytest.approx(-0.052849, abs=1e-6)


def written_out(layer: Recurrence, x: Array, v: Array, truncate: int) -> dict[str, Array]:
    """Gradients of L = Σ v·h_t by hand; what flows back stops between windows of `truncate` steps."""
    cell, *_ = cells_of(layer)
    w, u = (cell.get_parameter(f"{one}.weight").detach().numpy() for one in ("hidden", "input"))
    bias = (cell.get_parameter("hidden.bias") + cell.get_parameter("input.bias")).detach().numpy()
    states = [np.zeros(len(w))]
    for one in x:
        states.append(np.tanh(w @ states[-1] + u @ one + bias))
    grads = {
        "hidden.weight": np.zeros_like(w),
        "input.weight": np.zeros_like(u),
        "input.bias": np.zeros(len(w)),
    }
    later = np.zeros(len(w))
    for t in reversed(range(len(x))):
        inner = (v + later) * (1 - states[t + 1] ** 2)
        grads["hidden.weight"] += np.outer(inner, states[t])
        grads["input.weight"] += np.outer(inner, x[t])
        grads["input.bias"] += inner
        later = w.T @ inner if not truncate or t % truncate else np.zeros(len(w))
    return grads


def grads_of(layer: Recurrence, x: Tensor, v: Tensor) -> dict[str, Array]:
    layer.zero_grad()
    (layer(x[None])[0] @ v).sum().backward()
    cell, *_ = cells_of(layer)
    return {
        name: parameter.grad.numpy().copy()
        for name, parameter in cell.named_parameters()
        if parameter.grad is not None and name != "hidden.bias"
    }


@pytest.mark.parametrize("truncate", [0, 1, 3, 8, 50])
def test_truncated_backpropagation_through_time_written_out(truncate: int) -> None:
    torch.manual_seed(1)
    layer = Recurrence("rnn", Axis("x", 3), 4, Axes(), truncate=truncate).double()
    x, v = torch.randn(8, 3, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    found, wanted = grads_of(layer, x, v), written_out(layer, x.numpy(), v.numpy(), truncate)
    assert found.keys() == wanted.keys()
    for name, grad in wanted.items():
        np.testing.assert_allclose(found[name], grad, rtol=1e-12, err_msg=name)
    whole = written_out(layer, x.numpy(), v.numpy(), 0)["hidden.weight"]
    # A window as long as the sequence is no window.
    assert np.allclose(wanted["hidden.weight"], whole) == (truncate in (0, 8, 50))


def test_a_layer_that_is_fed_its_answers_by_hand() -> None:
    torch.manual_seed(2)
    layer = OutputRecurrence(Axis("x", 3), Axis("classes", 2, pinned=True), 4, Axes()).double()
    head = nn.Linear(4, 2).double()
    x = torch.randn(5, 3, dtype=torch.float64)
    answer, wanted = torch.zeros(2, dtype=torch.float64), []
    for one in x:
        logits = head(torch.tanh(layer.input(one) + layer.output(answer)))
        answer = logits.exp() / logits.exp().sum()
        wanted.append(logits)
    torch.testing.assert_close(layer(x[None], head)[0], torch.stack(wanted))
