"""Folding, float16 storage, node names and sizes: on graphs and layers small enough to work by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tombola.errors import ExportError
from tombola.export.graph.fold import FoldedConv, fold
from tombola.export.graph.half import round_weights, store_half
from tombola.export.graph.naming import name_nodes
from tombola.export.graph.size import sizes
from tombola.train.networks.axis import Axis
from tombola.train.networks.layers.convolution import ConvBatchNorm


def block(**changes: Any) -> ConvBatchNorm:
    torch.manual_seed(1)
    reads = Axis("reads", 4)
    writes = reads if changes.get("depthwise") else Axis("writes", 8)
    made = ConvBatchNorm(**{"reads": reads, "writes": writes, "kernel_size": 3, **changes})
    with torch.no_grad():
        assert made.norm.running_mean is not None
        assert made.norm.running_var is not None
        made.norm.running_mean.normal_()
        made.norm.running_var.uniform_(0.5, 2)
        made.norm.weight.normal_()
        made.norm.bias.normal_()
    return made.eval()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"stride": 2, "same_padding": True, "activation": nn.ReLU6()},
        {"kernel_size": 5, "same_padding": True},
        {"kernel_size": 1, "activation": nn.ReLU()},
        {"depthwise": True, "norm_eps": 1e-3},
    ],
)
def test_a_folded_block_is_the_block(changes: dict[str, Any]) -> None:
    source = block(**changes)
    x = torch.randn(2, 4, 8, 10)
    norm, conv = source.norm, source.conv
    padded = nn.functional.pad(x, source.uneven) if source.uneven else x
    wanted = source.activation(norm(conv(padded)))  # in eval mode: the plain definition, no kernel scaled
    folded = fold(nn.Sequential(source))
    assert isinstance(folded[0], FoldedConv)
    torch.testing.assert_close(folded(x), wanted, atol=2e-6, rtol=1e-5)


def test_folding_leaves_the_network_alone() -> None:
    network = nn.Sequential(block(), nn.Sequential(block(reads=Axis("reads", 8))))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert isinstance(network[0], ConvBatchNorm)
    assert not any(isinstance(module, ConvBatchNorm) for module in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_rounding_goes_to_the_nearest_float16() -> None:
    layer = nn.Linear(20, 20)
    with torch.no_grad():
        layer.weight.fill_(0.1)
        layer.bias.fill_(0.1)
    round_weights(layer)
    assert layer.weight[0, 0].item() == np.float16(0.1)
    assert layer.bias[0].item() == np.float32(0.1)  # too short to be worth a Cast


def test_rounding_refuses_what_float16_cannot_hold() -> None:
    layer = nn.Linear(20, 20)
    with torch.no_grad():
        layer.weight[3, 4] = -70000.0
    with pytest.raises(ExportError, match="weight holds 7e"):
        round_weights(layer)


def product_model(weight: NDArray[np.float32]) -> onnx.ModelProto:
    """y = x @ weight, twice with the same weight."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, len(weight)])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, len(weight)])],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, x: NDArray[np.float32]) -> NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def test_what_float16_holds_exactly_is_stored_so() -> None:
    weight = np.random.default_rng(2).standard_normal((16, 16)).astype(np.float16).astype(np.float32)
    model, x = product_model(weight), np.ones((1, 16), np.float32)
    before = run(model, x)
    store_half(model.graph)
    assert [tensor.data_type for tensor in model.graph.initializer] == [TensorProto.FLOAT16]
    assert [node.op_type for node in model.graph.node] == ["Cast", "MatMul", "MatMul"]
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_array_equal(run(model, x), before)


@pytest.mark.parametrize("weight", [np.full((16, 16), 0.1), np.full((16, 16), 1e6), np.ones((15, 15))])
def test_what_it_does_not_hold_or_is_small_stays(weight: NDArray[Any]) -> None:
    model = product_model(weight.astype(np.float32))
    before = model.SerializeToString()
    store_half(model.graph)
    assert model.SerializeToString() == before


def test_onnxruntime_does_the_casts_when_it_loads(exported: Any, tmp_path: Path) -> None:
    assert sum(node.name.endswith("/float32") for node in exported.model.graph.node) > 5
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    content = exported.report.path.read_bytes()
    ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(tmp_path / "optimised.onnx")
    stored = {tensor.data_type for tensor in optimised.graph.initializer}
    assert TensorProto.FLOAT16 not in stored
    assert not any(node.name.endswith("/float32") for node in optimised.graph.node)


def test_float32_storage_is_one_flag_away(again: Any, exported: Any, tmp_path: Path) -> None:
    # The kept graph has rounded weights, so these must not be rounded again: the network has the same ones.
    network = fold(exported.network)
    round_weights(network)
    report = again(tmp_path / "full.onnx", network, half=False)
    assert report.contract.card["sizes"]["stored_as"] == "float32"
    assert {t.data_type for t in onnx.load(report.path).graph.initializer if t.name.endswith(".weight")} == {
        TensorProto.FLOAT
    }
    heavy = [one for one in exported.report.parts if one.name == "neck"]
    assert next(one for one in report.parts if one.name == "neck").nbytes > 1.9 * heavy[0].nbytes


def test_parts_are_told_by_position() -> None:
    """Size, resize, conv, nms of proposals, conv, final nms, scale by a ratio that nothing else reads."""
    nodes = [
        ("Shape", ["image"], "size"), ("Div", ["size", "size"], "ratio"), ("Floor", ["size"], "grid"),
        ("Resize", ["image", "size"], "small"), ("Conv", ["small", "network.stem.weight"], "maps"),
        ("NonMaxSuppression", ["maps", "grid"], "rois"), ("Conv", ["rois", "network.stem.weight"], "logits"),
        ("Clip", ["limit"], "threshold"), ("NonMaxSuppression", ["logits", "threshold"], "kept"),
        ("Mul", ["kept", "ratio"], "boxes"),
    ]  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, [output]) for kind, inputs, output in nodes], "g", [], [],
        [numpy_helper.from_array(np.zeros((1, 1, 1, 1), np.float32), "network.stem.weight")],
    )  # fmt: skip
    name_nodes(graph)
    assert {node.output[0]: node.name for node in graph.node} == {
        "size": "pre/Shape_0", "ratio": "post/Div_0", "grid": "net/Floor_0", "small": "pre/Resize_0",
        "maps": "net/stem_0", "rois": "net/NonMaxSuppression_0", "logits": "net/stem_1",
        "threshold": "post/Clip_0", "kept": "post/NonMaxSuppression_1", "boxes": "post/Mul_0",
    }  # fmt: skip
    assert graph.node[4].input[1] == graph.initializer[0].name == "stem.weight"


def test_sizes_by_part() -> None:
    def tensor(name: str, values: Any, dtype: Any = np.float32) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, dtype), name)

    graph = helper.make_graph([], "g", [], [], [
        tensor("backbone.stages.0.weight", [1, 0, 2]), tensor("backbone.stages.0.bias", [0]),
        tensor("backbone.stages.1.3.weight", [5, 6], np.float16), tensor("neck.laterals.0.weight", [7]),
        tensor("val_3", [1, 2], np.int64),
    ])  # fmt: skip
    assert [(one.name, one.weights, one.zeros, one.nbytes) for one in sizes(graph)] == [
        ("backbone.stages.0", 4, 2, 16), ("backbone.stages.1", 2, 0, 4), ("neck", 1, 0, 4),
        ("constants", 2, 0, 16),
    ]  # fmt: skip
