"""A loop whose products compute in bytes: the numbers that it keeps, and what is stored of its weights."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tombola.export.quantize.dynamic import to_dynamic_int8
from tombola.export.quantize.layers import plan
from tombola.export.quantize.processor import PROCESSORS

UNITS, STEPS = 32, 6
BOTH = ("cell.weight", "cell.bias")
RNG = np.random.default_rng(0)
WEIGHTS = {
    "cell.weight": (1.5 * RNG.standard_normal((UNITS, UNITS)) / UNITS**0.5).astype(np.float32),
    "cell.bias": RNG.standard_normal(UNITS).astype(np.float32),
    "gate.weight": (RNG.standard_normal((UNITS, UNITS)) / UNITS**0.5).astype(np.float32),
}


def recurrent() -> onnx.ModelProto:
    """h' = tanh(W h + b) ⊙ σ(h V), STEPS times; a row of W is what it begins with."""
    state = helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, UNITS])
    after = helper.make_tensor_value_info("h_after", TensorProto.FLOAT, [1, UNITS])
    number = helper.make_tensor_value_info("number", TensorProto.INT64, [])
    before, go = (helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("before", "go"))
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["before"], ["go"], "net/Identity_0"),
            helper.make_node(
                "Gemm", ["h", "cell.weight", "cell.bias"], ["a"], "net/cell_0", transA=0, transB=1
            ),
            helper.make_node("Tanh", ["a"], ["b"], "net/Tanh_0"),
            helper.make_node("MatMul", ["h", "gate.weight"], ["c"], "net/gate_0"),
            helper.make_node("Sigmoid", ["c"], ["d"], "net/Sigmoid_0"),
            helper.make_node("Mul", ["b", "d"], ["h_after"], "net/Mul_0"),
        ],
        "body",
        [number, before, state],
        [go, after],
    )
    nodes = [
        helper.make_node("Gather", ["cell.weight", "word"], ["first"], "net/Gather_0"),
        helper.make_node("Loop", ["steps", "", "first"], ["last"], "net/Loop_0", body=body),
    ]
    steps = numpy_helper.from_array(np.array(STEPS), "steps")
    graph = helper.make_graph(
        nodes,
        "recurrent",
        [helper.make_tensor_value_info("word", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("last", TensorProto.FLOAT, [1, UNITS])],
        [steps, *(numpy_helper.from_array(weight, name) for name, weight in WEIGHTS.items())],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def states(model: onnx.ModelProto) -> NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, {"word": np.array([word])})[0][0] for word in range(UNITS)])


def quantised(leave_out: tuple[str, ...] = (), processor: str = "x64") -> onnx.ModelProto:
    model = recurrent()
    chosen = plan(model.graph, leave_out, loops=True)
    to_dynamic_int8(model, chosen.steps, WEIGHTS, PROCESSORS[processor])
    onnx.checker.check_model(model, full_check=True)
    return model


def test_only_on_demand_and_by_name() -> None:
    graph = recurrent().graph
    assert plan(graph).layers == plan(graph).left == ()
    chosen = plan(graph, ["gate"], loops=True)
    assert chosen.steps == {"net/cell_0"}
    assert chosen.layers == ("cell",)
    assert chosen.left == ("gate",)
    scaled = recurrent()
    loop = scaled.graph.node[1].attribute[0].g
    loop.node[1].attribute.append(helper.make_attribute("alpha", 0.5))
    assert plan(scaled.graph, loops=True).layers == ("gate",)


@pytest.mark.parametrize(("leave_out", "most"), [((), 0.06), (("cell",), 0.06)])
def test_the_states_are_nearly_the_same(leave_out: tuple[str, ...], most: float) -> None:
    float_states, byte_states = states(recurrent()), states(quantised(leave_out))
    error = np.abs(byte_states - float_states)
    assert 0 < error.max() < most
    assert np.corrcoef(byte_states.ravel(), float_states.ravel())[0, 1] > 0.999


def test_what_a_loop_begins_with_finds_its_limits_as_well() -> None:
    model = recurrent()
    model.graph.node[0].output[0] = "looked_up"
    begin = helper.make_node("MatMul", ["looked_up", "gate.weight"], ["begun"], "net/begin_0")
    model.graph.node.insert(1, begin)
    model.graph.node.insert(2, helper.make_node("Split", ["begun"], ["first"], "net/Split_0", num_outputs=1))
    model.graph.output.append(helper.make_tensor_value_info("first", TensorProto.FLOAT, [1, UNITS]))
    expected = states(model)
    assert "net/begin_0" not in plan(model.graph).steps
    chosen = plan(model.graph, loops=True)
    assert chosen.steps == {"net/begin_0", "net/cell_0", "net/gate_0"}
    assert not chosen.nodes
    to_dynamic_int8(model, chosen.steps, WEIGHTS, PROCESSORS["x64"])
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node].count("MatMulInteger") == 1
    assert 0 < np.abs(states(model) - expected).max() < 0.06


def test_what_is_stored() -> None:
    model = quantised(processor="x64-avx2")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    # The bytes are all there is of both; those of the one whose rows are looked up lie row by row.
    for name in ("cell.weight", "gate.weight"):
        scale = stored[f"{name}/scale"] if name == "gate.weight" else stored[f"{name}/scale"][:, None]
        assert stored[name].dtype == np.int8
        assert np.abs(stored[name]).max() == 63
        assert np.abs(stored[name] * scale - WEIGHTS[name]).max() <= scale.max() / 2 + 1e-6
    assert set(stored) == {"steps", "last_dimension", "cell.bias"} | {
        name for layer in ("cell.weight", "gate.weight") for name in (layer, f"{layer}/scale")
    }
    body = next(node for node in model.graph.node if node.op_type == "Loop").attribute[0].g
    assert [node.op_type for node in body.node].count("DynamicQuantizeLinear") == 1  # both read h


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_are_looked_up_among_the_bytes_and_columns_are_not(axis: int) -> None:
    """A row has one scale, that of its output; a column has as many as there are outputs."""
    model = recurrent()
    model.graph.node[0].attribute.append(helper.make_attribute("axis", axis))
    if axis:
        model.graph.node[0].output[0] = "column"
        model.graph.node.insert(1, helper.make_node("Transpose", ["column"], ["first"], perm=[1, 0]))
    model.graph.output.append(helper.make_tensor_value_info("first", TensorProto.FLOAT, [1, UNITS]))
    exact = row_of(model)
    to_dynamic_int8(model, plan(model.graph, loops=True).steps, WEIGHTS, PROCESSORS["x64"])
    onnx.checker.check_model(model, full_check=True)
    error = np.abs(row_of(model) - exact).max()
    assert (error == 0) == (axis == 1)
    assert error <= np.abs(exact).max() / 127 / 2 + 1e-6
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert kinds["cell.weight"] == (TensorProto.FLOAT if axis else TensorProto.INT8)


def row_of(model: onnx.ModelProto) -> NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["first"], {"word": np.array([3])})[0])


def test_onnxruntime_takes_the_nodes_of_a_product_together(tmp_path: object) -> None:
    options = ort.SessionOptions()
    options.optimized_model_filepath = f"{tmp_path}/fused.onnx"
    ort.InferenceSession(quantised().SerializeToString(), options, providers=["CPUExecutionProvider"])
    loop = next(node for node in onnx.load(f"{tmp_path}/fused.onnx").graph.node if node.op_type == "Loop")
    kinds = [node.op_type for node in next(one.g for one in loop.attribute if one.name == "body").node]
    assert "MatMulInteger" not in kinds
    assert "Cast" not in kinds
