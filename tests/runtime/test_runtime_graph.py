"""The wire reader against the onnx package, and against files made to mislead it."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tombola.errors import ModelError
from tombola.runtime.modelfile.graph import check_contract, read_graph
from tombola.runtime.modelfile.protobuf import Budget
from tombola.runtime.modelfile.tensor import read_tensor
from tombola.runtime.tasks.signature import TensorSpec

MakeToy = Callable[..., onnx.ModelProto]
Spoil = Callable[[onnx.ModelProto], None]


@pytest.mark.parametrize(
    ("opset", "ir_version", "oldest"),
    [(20, 9, "1.17"), (19, 8, "1.17"), (20, 10, "1.18"), (21, 9, "1.18"), (22, 10, ""), (20, 11, "")],
)
def test_the_oldest_onnxruntime_is_told_where_it_is_known(
    make_toy: MakeToy, opset: int, ir_version: int, oldest: str
) -> None:
    model = make_toy()
    model.ir_version = ir_version
    model.opset_import[0].version = opset
    assert read_graph(model.SerializeToString()).oldest_onnxruntime == oldest


def test_toy_is_read_as_the_onnx_package_reads_it(make_toy: MakeToy) -> None:
    model = make_toy()
    model.producer_name = "toy maker"
    graph = read_graph(model.SerializeToString())
    assert (graph.ir_version, graph.opset) == (model.ir_version, 20)
    assert graph.producer == "toy maker"
    assert graph.metadata == {entry.key: entry.value for entry in model.metadata_props}
    assert graph.inputs == (TensorSpec("image", "uint8", ("height", "width", 3)),)
    assert [spec.name for spec in graph.optional_inputs] == [
        "score_threshold",
        "iou_threshold",
        "max_detections",
    ]
    assert graph.optional_inputs[2] == TensorSpec("max_detections", "int64", ())
    assert graph.outputs[0] == TensorSpec("boxes", "float32", ("n", 4))
    assert [node.op_type for node in graph.nodes] == [node.op_type for node in model.graph.node]
    assert graph.op_counts["Unsqueeze"] == 3
    assert [(tensor.name, tensor.dims) for tensor in graph.initializers] == [
        (tensor.name, tuple(tensor.dims)) for tensor in model.graph.initializer
    ]
    assert graph.nodes[4].weights == ("shares",)


def test_sparsity_of_a_graph(make_toy: MakeToy) -> None:
    model = make_toy()
    model.graph.initializer.append(numpy_helper.from_array(np.array([0, 0, 5, 0], np.float32), "pruned"))
    before, after = read_graph(make_toy().SerializeToString()), read_graph(model.SerializeToString())
    assert after.weight_count - before.weight_count == 4
    assert after.zero_count - before.zero_count == 3


def _tensor(name: str = "far", **changes: Any) -> TensorProto:
    return TensorProto(name=name, data_type=TensorProto.FLOAT, **changes)


def _external(name: str = "far") -> TensorProto:
    entry = onnx.StringStringEntryProto(key="location", value="../../etc/passwd")
    return _tensor(name, dims=[2], data_location=TensorProto.EXTERNAL, external_data=[entry])


def _branch(node_or_tensor: onnx.NodeProto | TensorProto) -> onnx.NodeProto:
    """An If whose branches hold the node, or store the tensor."""
    is_node = isinstance(node_or_tensor, onnx.NodeProto)
    branch = helper.make_graph(
        [node_or_tensor] if is_node else [],
        "branch",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [] if is_node else [node_or_tensor],
    )
    return helper.make_node("If", ["condition"], ["chosen"], then_branch=branch, else_branch=branch)


def _foreign_node() -> onnx.NodeProto:
    return helper.make_node("Evil", ["image"], ["out"], domain="com.example")


def _function_with(node: onnx.NodeProto) -> onnx.FunctionProto:
    return helper.make_function("ai.onnx", "Local", ["image"], ["out"], [node], [helper.make_opsetid("", 20)])


EXTERNAL: dict[str, Spoil] = {
    "initializer": lambda m: m.graph.initializer.append(_external()),
    "location flag alone": lambda m: m.graph.initializer.append(
        _tensor(data_location=TensorProto.EXTERNAL, dims=[1])
    ),
    "entry alone": lambda m: m.graph.initializer.append(
        _tensor(external_data=[onnx.StringStringEntryProto(key="location", value="x")], dims=[1])
    ),
    "constant": lambda m: m.graph.node.append(helper.make_node("Constant", [], ["c"], value=_external())),
    "list of tensors": lambda m: m.graph.node.append(
        onnx.NodeProto(op_type="C", attribute=[onnx.AttributeProto(name="t", tensors=[_external()])])
    ),
    "branch": lambda m: m.graph.node.append(_branch(_external())),
    "sparse": lambda m: m.graph.sparse_initializer.append(onnx.SparseTensorProto(values=_external())),
    "sparse constant": lambda m: m.graph.node.append(
        onnx.NodeProto(
            op_type="Constant",
            attribute=[
                onnx.AttributeProto(name="s", sparse_tensor=onnx.SparseTensorProto(indices=_external()))
            ],
        )
    ),
    "function": lambda m: m.functions.append(
        _function_with(helper.make_node("Constant", [], ["out"], value=_external()))
    ),
}

FOREIGN: dict[str, Spoil] = {
    "node": lambda m: m.graph.node.append(_foreign_node()),
    "branch": lambda m: m.graph.node.append(_branch(_foreign_node())),
    "branch of a branch": lambda m: m.graph.node.append(_branch(_branch(_foreign_node()))),
    "function": lambda m: m.functions.append(_function_with(_foreign_node())),
}


@pytest.mark.parametrize("place", EXTERNAL)
def test_external_data_is_refused_wherever_it_hides(make_toy: MakeToy, place: str) -> None:
    model = make_toy()
    EXTERNAL[place](model)
    with pytest.raises(ModelError, match="keeps its data in another file"):
        check_contract(read_graph(model.SerializeToString()))


@pytest.mark.parametrize("place", FOREIGN)
def test_foreign_operators_are_refused_wherever_they_hide(make_toy: MakeToy, place: str) -> None:
    model = make_toy()
    FOREIGN[place](model)
    with pytest.raises(ModelError, match=r"operator Evil of the foreign domain 'com\.example'"):
        check_contract(read_graph(model.SerializeToString()))


def test_graph_given_in_two_pieces_is_read_whole(make_toy: MakeToy) -> None:
    """Protobuf joins a message that comes twice, so looking at one of the two would be blind to the other."""
    spoilt = onnx.ModelProto(graph=onnx.GraphProto(node=[_foreign_node()]))
    for data in (
        make_toy().SerializeToString() + spoilt.SerializeToString(),
        spoilt.SerializeToString() + make_toy().SerializeToString(),
    ):
        with pytest.raises(ModelError, match="foreign domain"):
            check_contract(read_graph(data))


@pytest.mark.parametrize("where", ["initializer", "constant"])
def test_nan_weights_are_refused_by_name(make_toy: MakeToy, where: str) -> None:
    """A network of NaN weights would answer with no boxes at all, as if the picture were empty."""
    model = make_toy()
    values = np.ones(1000, np.float32)
    values[700] = np.nan
    tensor = numpy_helper.from_array(values, "head.weight")
    if where == "initializer":
        model.graph.initializer.append(tensor)
    else:
        model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))
    with pytest.raises(ModelError, match=r"'head\.weight' holds NaN"):
        check_contract(read_graph(model.SerializeToString()))


def test_infinite_constants_are_allowed(make_toy: MakeToy) -> None:
    model = make_toy()
    model.graph.initializer.append(numpy_helper.from_array(np.array([-np.inf, np.inf], np.float32), "mask"))
    assert check_contract(read_graph(model.SerializeToString())).task == "detect"


def test_every_cut_of_a_file_is_an_error(toy_bytes: bytes) -> None:
    for length in range(len(toy_bytes)):
        with pytest.raises(ModelError):
            check_contract(read_graph(toy_bytes[:length]))


@given(data=st.data())
def test_a_changed_byte_never_escapes_as_another_error(toy_bytes: bytes, data: st.DataObject) -> None:
    spoilt = bytearray(toy_bytes)
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ModelError):
        check_contract(read_graph(bytes(spoilt)))


@given(st.binary(max_size=200))
def test_noise_is_never_a_model(data: bytes) -> None:
    with pytest.raises(ModelError):
        check_contract(read_graph(data))


def test_deep_nesting_is_an_error_not_a_crash(make_toy: MakeToy) -> None:
    def wrap(number: int, message: bytes) -> bytes:
        low, high = len(message) & 0x7F | 0x80, len(message) >> 7
        return bytes([number << 3 | 2, low, high]) + message

    graph = b""
    for _ in range(1000):  # the onnx package itself would not write this
        graph = wrap(1, wrap(5, wrap(6, graph)))
    with pytest.raises(ModelError, match="nested more than 32 deep"):
        read_graph(make_toy().SerializeToString() + wrap(7, graph))


def test_a_weight_stored_narrower_belongs_to_the_node_behind_its_cast() -> None:
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Cast", ["narrow"], ["wide"], to=TensorProto.FLOAT),
                helper.make_node("Mul", ["x", "wide"], ["y"]),
                helper.make_node("Cast", ["y"], ["z"], to=TensorProto.FLOAT16),
            ],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT16, [2])],
            [helper.make_tensor("narrow", TensorProto.FLOAT16, [2], [1.0, 2.0])],
        )
    )
    nodes = read_graph(model.SerializeToString()).nodes
    assert [(node.op_type, node.weights) for node in nodes] == [
        ("Cast", ()),
        ("Mul", ("narrow",)),
        ("Cast", ()),
    ]


@pytest.mark.parametrize(("reads", "writes"), [([], ["wide"]), (["corner_at"], [])])
def test_a_cast_without_an_end_is_read(make_toy: MakeToy, reads: list[str], writes: list[str]) -> None:
    model = make_toy()
    model.graph.node.append(helper.make_node("Cast", reads, writes, to=TensorProto.FLOAT))
    assert read_graph(model.SerializeToString()).nodes[-1].op_type == "Cast"


@pytest.mark.parametrize("op_type", ["Max", "Min", "Mean", "Sum", "Concat", "Einsum", "SequenceConstruct"])
def test_an_empty_input_among_any_number_is_refused(make_toy: MakeToy, op_type: str) -> None:
    """onnxruntime crashes on it."""
    for inputs in (["scores", ""], ["", "scores"], [""]):
        model = make_toy()
        model.graph.node.append(_branch(helper.make_node(op_type, inputs, ["out"])))
        with pytest.raises(ModelError, match=f"an input of its operator {op_type} is empty"):
            read_graph(model.SerializeToString())


def test_an_empty_last_input_that_onnxruntime_crashes_on_is_refused(make_toy: MakeToy) -> None:
    for op_type, inputs in (("LayerNormalization", ["x", "scale", ""]), ("DFT", ["x", "length", ""])):
        model = make_toy()
        model.graph.node.append(helper.make_node(op_type, inputs[:2], ["out"]))
        assert read_graph(model.SerializeToString()).nodes[-1].op_type == op_type
        model.graph.node.append(helper.make_node(op_type, inputs, ["out"]))
        with pytest.raises(ModelError, match=f"operator {op_type} is empty"):
            read_graph(model.SerializeToString())


@pytest.mark.parametrize("count", [0, -1, 1 << 15, 1 << 32])
@pytest.mark.parametrize(
    ("op_type", "key"),
    [
        ("Attention", "q_num_heads"),
        ("Attention", "kv_num_heads"),
        ("DepthToSpace", "blocksize"),
        ("ConvTranspose", "group"),
    ],
)
def test_a_count_that_onnxruntime_divides_by_is_a_count(
    make_toy: MakeToy, op_type: str, key: str, count: int
) -> None:
    node, model = helper.make_node(op_type, ["x"], ["out"]), make_toy()
    node.attribute.append(helper.make_attribute(key, 4))
    model.graph.node.append(node)
    assert read_graph(model.SerializeToString()).nodes[-1].op_type == op_type
    node.attribute[0].i = count
    model.graph.node.append(_branch(node))
    with pytest.raises(ModelError, match=f"the {key} of an operator is {count}, not 1 to 32,767"):
        read_graph(model.SerializeToString())


def test_what_a_loop_may_leave_out_is_no_fault(make_toy: MakeToy) -> None:
    model = make_toy()
    model.graph.node.append(helper.make_node("Loop", ["", "", "scores"], ["out"]))
    model.graph.node.append(helper.make_node("Clip", ["scores", "", "most"], ["clipped"]))
    assert read_graph(model.SerializeToString()).op_counts["Loop"] == 1
    model.graph.node.append(helper.make_node("Loop", ["", "", ""], ["out"]))
    with pytest.raises(ModelError, match="operator Loop is empty"):
        read_graph(model.SerializeToString())


def test_defaults_of_a_functions_attributes_are_walked(make_toy: MakeToy) -> None:
    model = make_toy()
    function = _function_with(helper.make_node("Identity", ["image"], ["out"]))
    function.attribute_proto.append(helper.make_attribute("far", _external()))
    model.functions.append(function)
    with pytest.raises(ModelError, match="keeps its data in another file"):
        check_contract(read_graph(model.SerializeToString()))
    function.ClearField("attribute_proto")
    body = helper.make_graph([_foreign_node()], "body", [], [])
    function.attribute_proto.append(helper.make_attribute("body", body))
    model.functions[0].CopyFrom(function)
    with pytest.raises(ModelError, match="operator Evil of the foreign domain"):
        check_contract(read_graph(model.SerializeToString()))


def test_at_most_sixteen_dimensions(make_toy: MakeToy) -> None:
    for dims, is_refused in (([1] * 16, False), ([1] * 17, True)):
        with (
            pytest.raises(ModelError, match="'deep' has 17 dimensions")
            if is_refused
            else contextlib.nullcontext()
        ):
            model = make_toy()
            model.graph.initializer.append(_tensor("deep", dims=dims, raw_data=b"\0" * 4))
            read_graph(model.SerializeToString())
        for place in ("input", "output", "value_info"):
            with (
                pytest.raises(ModelError, match="'deep' has 17 dim")
                if is_refused
                else contextlib.nullcontext()
            ):
                model = make_toy()
                getattr(model.graph, place).append(
                    helper.make_tensor_value_info("deep", TensorProto.FLOAT, dims)
                )
                read_graph(model.SerializeToString())


def test_a_long_name_is_refused_and_not_repeated(make_toy: MakeToy) -> None:
    model = make_toy()
    model.graph.node[0].name = "n" * 1025
    with pytest.raises(ModelError, match="longer than 1,024 characters") as error:
        read_graph(model.SerializeToString())
    assert len(str(error.value)) < 100


def test_more_parts_than_a_model_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.runtime.modelfile.graph.MAX_NODES", 100)
    monkeypatch.setattr("tombola.runtime.modelfile.graph.MAX_TENSORS", 100)
    node = onnx.ModelProto(graph=onnx.GraphProto(node=[onnx.NodeProto()])).SerializeToString()
    tensor = onnx.ModelProto(graph=onnx.GraphProto(initializer=[_tensor("x", dims=[0])])).SerializeToString()
    assert len(read_graph(node * 100 + tensor * 100).nodes) == 100
    with pytest.raises(ModelError, match="more than 100 nodes"):
        read_graph(node * 101)
    with pytest.raises(ModelError, match="more than 100 tensors"):
        read_graph(tensor * 101)
    numbers = TensorProto(name="many", data_type=TensorProto.INT64, dims=[10], int64_data=[1] * 10)
    with pytest.raises(ModelError, match="more than two million parts"):
        read_tensor(memoryview(numbers.SerializeToString()), Budget(9))
