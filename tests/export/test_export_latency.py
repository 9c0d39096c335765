"""Layers measured alone: which there are, and that narrower ones cost less."""

import onnx
import torch

from tombola.export.latency import LatencyTable, _model
from tombola.train.networks.axis import Axis
from tombola.train.networks.layers.convolution import Conv
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.transposed import Transposed
from tombola.train.prune.cost import layers_of


def test_a_layer_is_measured_at_its_width_and_drawn_straight_between() -> None:
    wide, deep, last = Axis("wide", 64), Axis("deep", 64), Axis("last", 10, pinned=True)
    network = torch.nn.Sequential(
        Conv(Axis("picture", 3, pinned=True), wide, 3, padding=1),
        Conv(wide, wide, 5, padding=2, depthwise=True),
        Conv(wide, deep, 3, padding=1),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        Linear(deep, last),
    ).eval()
    layers = layers_of(network, lambda: network(torch.zeros(1, 3, 24, 40)))
    assert [layer.name for layer in layers] == ["0", "1", "2", "5"]
    table = LatencyTable(threads=1)
    times_ms = [table.latency_ms(layer, {}) for layer in layers]
    assert all(0 < one < 1000 for one in times_ms)
    middle = layers[2]
    # 16 times the work, so that no noise turns it round.
    assert table.latency_ms(middle, {"wide": 16, "deep": 16}) < times_ms[2]
    ends = [table.latency_ms(middle, {"wide": 32, "deep": width}) for width in (32, 40, 48)]
    assert abs(ends[1] - (ends[0] + ends[2]) / 2) < 1e-9


def test_a_transposed_convolution_is_measured_as_one() -> None:
    wide = Axis("wide", 64)
    network = torch.nn.Sequential(Transposed(Axis("in", 8, pinned=True), wide), Transposed(wide, wide)).eval()
    _, layer = layers_of(network, lambda: network(torch.zeros(2, 8, 9, 12)))
    model = _model(layer, [(64, 64)])[0]
    (node,) = onnx.load_from_string(model).graph.node
    assert (node.op_type, layer.inputs) == ("ConvTranspose", ((2, 18, 24),))
    table = LatencyTable(threads=1)
    assert 0 < table.latency_ms(layer, {"wide": 16}) < table.latency_ms(layer, {})
