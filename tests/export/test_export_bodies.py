"""The passes over a graph see the bodies of loops and the branches of conditions too."""

import copy
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from tombola.errors import ExportError
from tombola.export.export import check
from tombola.export.graph.half import store_half
from tombola.export.graph.naming import name_nodes
from tombola.export.graph.size import sizes
from tombola.export.graph.walk import reads, walk

# Three times x <- x @ outer + a row of inner; `inner` lies in the body.
LOOP = """
<ir_version: 10, opset_import: ["" : 20]>
looped (float[1, 16] x) => (float[1, 16] answer)
{
  start = Identity (x)
  answer = Loop (times, go_on, start) <body = body (int64 i, bool was, float[1, 16] before)
    => (bool still, float[1, 16] after)
  {
    row = ReduceMax (inner, first)
    still = Identity (was)
    product = MatMul (before, outer)
    after = Add (product, row)
  }>
}
"""

# Once or twice x @ outer; each branch reads the same weight of the graph around it.
BRANCHES = """
<ir_version: 10, opset_import: ["" : 20]>
branched (float[1, 16] x, bool once) => (float[1, 16] answer)
{
  answer = If (once) <
    then_branch = one () => (float[1, 16] then_value) { then_value = MatMul (x, outer) },
    else_branch = two () => (float[1, 16] else_value)
    {
      middle = MatMul (x, outer)
      else_value = MatMul (middle, outer)
    }
  >
}
"""


def looped() -> onnx.ModelProto:
    model = parsed(LOOP)
    body = model.graph.node[1].attribute[0].g
    store(model.graph, "times", np.array(3, np.int64))
    store(model.graph, "go_on", np.array(True))
    # 256 numbers, as many as are worth a Cast; one row of them is added.
    store(body, "network.inner.weight", np.full((16, 16), 0.25, np.float32))
    store(body, "first", np.array([0], np.int64))
    return model


def branched() -> onnx.ModelProto:
    return parsed(BRANCHES)


def parsed(text: str) -> onnx.ModelProto:
    """The parser takes no dots in names, so they are put in here."""
    model = onnx.parser.parse_model(text)
    for graph in walk(model.graph):
        for node in graph.node:
            node.input[:] = [
                f"network.{name}.weight" if name in ("inner", "outer") else name for name in node.input
            ]
    store(model.graph, "network.outer.weight", 2 * np.eye(16, dtype=np.float32))
    return model


def store(graph: onnx.GraphProto, name: str, values: NDArray[Any]) -> None:
    graph.initializer.append(numpy_helper.from_array(values, name))


def run(model: onnx.ModelProto, **more: Any) -> NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {
        "x": np.full((1, 16), 0.5, np.float32),
        **{name: np.array(value) for name, value in more.items()},
    }
    answer: NDArray[np.float32] = session.run(None, feeds)[0]
    return answer


def passed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model after every pass of an export."""
    made = copy.deepcopy(model)
    name_nodes(made.graph)
    store_half(made.graph)
    check(made)
    return made


def test_a_loop_answers_as_before() -> None:
    # 0.5 -> 1.25 -> 2.75 -> 5.75
    assert run(looped()).tolist() == [[5.75] * 16]
    assert run(passed(looped())).tolist() == [[5.75] * 16]


@pytest.mark.parametrize(("once", "wanted"), [(True, 1.0), (False, 2.0)])
def test_a_branch_answers_as_before(once: bool, wanted: float) -> None:
    assert run(branched(), once=once).tolist() == [[wanted] * 16]
    assert run(passed(branched()), once=once).tolist() == [[wanted] * 16]


def test_weights_inside_are_shortened_halved_and_counted() -> None:
    made = passed(looped())
    _, body = walk(made.graph)
    halves = {tensor.name: tensor.data_type for graph in (made.graph, body) for tensor in graph.initializer}
    assert halves["outer.weight"] == halves["inner.weight"] == TensorProto.FLOAT16
    assert [(part.name, part.weights, part.nbytes) for part in sizes(made.graph)][:2] == [
        ("outer", 256, 512),
        ("inner", 256, 512),
    ]


def test_nodes_inside_are_named_after_their_layer_and_the_part_of_the_loop() -> None:
    made = looped()
    name_nodes(made.graph)
    names = [node.name for graph in walk(made.graph) for node in graph.node]
    assert names == [
        "pre/Identity_0",
        "net/Loop_0",
        "net/inner_0",
        "net/Identity_1",
        "net/outer_0",
        "net/Add_0",
    ]
    assert all(len(set(names)) == len(names) for _ in names)


def test_a_node_reads_what_its_body_takes_from_outside() -> None:
    loop = looped().graph.node[1]
    assert reads(loop) == {"times", "go_on", "start", "network.outer.weight"}
    assert reads(branched().graph.node[0]) == {"once", "x", "network.outer.weight"}


@pytest.mark.parametrize("model", [looped(), branched()], ids=["loop", "if"])
def test_a_foreign_operator_inside_is_refused(model: onnx.ModelProto) -> None:
    _, body, *_ = walk(model.graph)
    body.node[-1].domain = "com.example"
    with pytest.raises(ExportError, match=r"operators of \['com.example'\]"):
        check(model)


def test_a_foreign_operator_inside_a_function_is_refused() -> None:
    model = branched()
    node = onnx.helper.make_node("Strange", ["a"], ["b"], domain="com.example")
    model.functions.append(onnx.helper.make_function("", "Ours", ["a"], ["b"], [node], model.opset_import))
    with pytest.raises(ExportError, match=r"com\.example"):
        check(model)
