"""The metadata is pinned key by key: files in the field must stay readable."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.errors import ModelError
from tombola.runtime.contract.contract import PNG_SIGNATURE, Contract, Probe, check_graph
from tombola.runtime.tasks.signature import TensorSpec, to_array
from tombola.runtime.tasks.table import TASKS

MakeContract = Callable[..., Contract]
DETECT = TASKS["detect"].signature
DEFAULTS = {"score_threshold": 0.5, "iou_threshold": 0.45, "max_detections": 100}


def test_metadata_is_pinned() -> None:
    probe = Probe(PNG_SIGNATURE + b"rest", {"boxes": [[0.0, 1.0, 2.0, 3.5]], "scores": [0.75], "labels": [1]})
    contract = Contract(
        "detect", ("cat", "Käfer"), DEFAULTS, {"licence": "MIT", "input_size_hw": [320, 256]}, (probe,)
    )
    assert contract.to_metadata() == {
        "names": "{0: 'cat', 1: 'Käfer'}",
        "task": "detect",
        "imgsz": "[320, 256]",
        "tombola.task": "detect",
        "tombola.labels": '["cat","Käfer"]',
        "tombola.defaults": '{"score_threshold":0.5,"iou_threshold":0.45,"max_detections":100}',
        "tombola.card": '{"licence":"MIT","input_size_hw":[320,256]}',
        "tombola.probes": '[{"png":"iVBORw0KGgpyZXN0","expected":'
        '{"boxes":[[0.0,1.0,2.0,3.5]],"scores":[0.75],"labels":[1]}}]',
        "tombola.contract": "1",
    }


def test_contract_key_is_written_last(make_contract: MakeContract) -> None:
    assert list(make_contract().to_metadata())[-1] == "tombola.contract"


def test_signature_of_detect_is_pinned() -> None:
    assert [str(spec) for spec in (*DETECT.inputs, *DETECT.optional_inputs, *DETECT.outputs)] == [
        "image uint8 [height, width, 3]",
        "score_threshold float32 []",
        "iou_threshold float32 []",
        "max_detections int64 []",
        "boxes float32 [n, 4]",
        "scores float32 [n]",
        "labels int64 [n]",
    ]


def test_classify_is_pinned() -> None:
    classify = TASKS["classify"].signature
    assert [str(spec) for spec in (*classify.inputs, *classify.optional_inputs, *classify.outputs)] == [
        "image uint8 [height, width, 3]",
        "probabilities float32 [classes]",
    ]
    probe = Probe(PNG_SIGNATURE, {"probabilities": [0.25, 0.75]})
    contract = Contract("classify", ("cat", "dog"), {}, {"licence": "MIT"}, (probe,))
    assert contract.to_metadata() == {
        "names": "{0: 'cat', 1: 'dog'}",
        "task": "classify",
        "tombola.task": "classify",
        "tombola.labels": '["cat","dog"]',
        "tombola.defaults": "{}",
        "tombola.card": '{"licence":"MIT"}',
        "tombola.probes": '[{"png":"iVBORw0KGgo=","expected":{"probabilities":[0.25,0.75]}}]',
        "tombola.contract": "1",
    }
    assert Contract.from_metadata(contract.to_metadata()) == contract


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"probabilities": [0.5, 0.25, 0.25]}, r"not \[2\], one probability for each label, but \[3\]"),
        ({"probabilities": [1.5, -0.5]}, "the least is -0.5"),
        ({"probabilities": [float("nan"), 1.0]}, "must be finite numbers"),
        ({"probabilities": ["1", 0]}, "must be finite numbers"),
        ({"probabilities": [10**400, 0]}, "must be finite numbers"),
        ({"probabilities": [0.5, 0.4]}, "their sum 0.9"),
        ({"scores": [0.5, 0.5]}, "lists named probabilities"),
    ],
)
def test_wrong_probe_of_a_classifier_is_named(expected: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(ModelError, match=rf"tombola\.probes\[0\]: .*{message}"):
        Contract("classify", ("cat", "dog"), {}, probes=(Probe(PNG_SIGNATURE, expected),))


def test_other_inputs_of_a_probe_stand_beside_its_picture(make_contract: MakeContract) -> None:
    nothing: dict[str, list[Any]] = {"boxes": [], "scores": [], "labels": []}
    probe = Probe(PNG_SIGNATURE, nothing, {"score_threshold": 0.25, "max_detections": 3})
    contract = make_contract(probes=(probe,))
    written = json.loads(contract.to_metadata()["tombola.probes"])
    assert written[0]["inputs"] == {"score_threshold": 0.25, "max_detections": 3}
    assert Contract.from_metadata(contract.to_metadata()) == contract
    feeds = probe.feeds(DETECT)
    assert {name: (array.dtype.name, array.tolist()) for name, array in feeds.items()} == {
        "score_threshold": ("float32", 0.25),
        "max_detections": ("int64", 3),
    }


@pytest.mark.parametrize(
    "values", [[[1, 2], [3]], [[1, 2, 3]], [1, 2], "12", [[1.5, 2]], [[None, 1]], [[2**70, 1]], {}]
)
def test_arrays_are_read_by_dtype_and_shape(values: Any) -> None:
    spec = TensorSpec("pairs", "int64", ("n", 2))
    assert to_array(spec, [[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert to_array(spec, []).shape == (0, 2)
    with pytest.raises(ModelError, match=r"pairs must be finite numbers int64 \[n, 2\]"):
        to_array(spec, values)


def test_classify_has_no_defaults() -> None:
    with pytest.raises(ModelError, match="must name nothing, but names score_threshold"):
        Contract("classify", ("cat",), {"score_threshold": 0.5})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(
    labels=st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5, unique=True),
    card=st.dictionaries(
        st.text().filter(lambda key: key not in ("input_size_hw", "probe_tolerance")), json_values, max_size=4
    ),
    score_threshold=st.floats(0, 1),
    max_detections=st.integers(1, 2**31 - 1),
)
def test_metadata_round_trip(
    labels: list[str], card: dict[str, Any], score_threshold: float, max_detections: int
) -> None:
    defaults = {**DEFAULTS, "score_threshold": score_threshold, "max_detections": max_detections}
    contract = Contract("detect", tuple(labels), defaults, card)
    assert Contract.from_metadata(contract.to_metadata()) == contract


@given(st.randoms(use_true_random=False))
def test_key_order_and_foreign_keys_do_not_matter(random: Any) -> None:
    contract = Contract("detect", ("cat",), DEFAULTS)
    items = [*contract.to_metadata().items(), ("author", "somebody"), ("tombola.later", "?")]
    random.shuffle(items)
    assert Contract.from_metadata(dict(items)) == contract


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("tombola.contract", None, "not a Tombola model"),
        ("tombola.contract", "2", r"tombola\.contract: version 2"),
        ("tombola.contract", "one", r"tombola\.contract: 'one' is not a version"),
        ("tombola.contract", "²", r"tombola\.contract: '²' is not a version"),
        ("tombola.contract", "9" * 5000, r"tombola\.contract: .* is not a version"),
        ("tombola.task", None, r"tombola\.task: is missing"),
        ("tombola.task", "segment", r"tombola\.task: 'segment' is not a task"),
        ("tombola.labels", None, r"tombola\.labels: is missing"),
        ("tombola.labels", "cat, dog", r"tombola\.labels: is not valid JSON"),
        ("tombola.labels", '{"0":"cat"}', r"tombola\.labels: must be a JSON list"),
        ("tombola.labels", "[]", r"tombola\.labels: must be a list of one or more"),
        ("tombola.labels", '["cat",3]', r"tombola\.labels"),
        ("tombola.labels", '["cat"," "]', r"tombola\.labels"),
        ("tombola.labels", '["cat","cat"]', r"tombola\.labels: 'cat' is there twice"),
        ("tombola.labels", "[" * 100_000, r"tombola\.labels: is not valid JSON"),
        ("tombola.defaults", "[]", r"tombola\.defaults: must be a JSON object"),
        ("tombola.defaults", "{}", r"tombola\.defaults: must name score_threshold"),
        ("tombola.card", '"good"', r"tombola\.card: must be a JSON object"),
        ("tombola.card", '{"figure":NaN}', r"tombola\.card: .*NaN is not a finite number"),
        ("tombola.card", '{"figure":-1e999}', r"tombola\.card: .*-1e999 is not a finite number"),
        ("tombola.card", '{"a":[' * 17 + "]}" * 17, r"tombola\.card: is nested more than 32 deep"),
        ("tombola.card", '{"a":' * 900 + "1" + "}" * 900, r"tombola\.card: is nested more than 32 deep"),
        ("tombola.card", '{"input_size_hw":320}', r"tombola\.card: input_size_hw"),
        ("tombola.card", '{"probe_tolerance":0}', r"tombola\.card: probe_tolerance"),
        ("tombola.card", '{"probe_tolerance":1%s}' % ("0" * 400), r"tombola\.card: probe_tolerance"),
        ("tombola.probes", '[{"png":"iVBORw0KGgo="}]', r"tombola\.probes\[0\]: must be an object"),
        ("tombola.probes", '[{"png":5,"expected":{}}]', r"tombola\.probes\[0\]: `png` must be text"),
        ("tombola.probes", '[{"expected":{}}]', r"tombola\.probes\[0\]: must be an object"),
        ("tombola.probes", '[{"inputs":[],"expected":{}}]', r"tombola\.probes\[0\]: .*`inputs` and"),
        ("tombola.probes", '[{"inputs":{},"expected":{}}]', r"probes\[0\]: it must have the inputs image"),
        (
            "tombola.probes",
            '[{"png":"iVBORw0KGgo=","inputs":{"beam_size":3},"expected":{}}]',
            r"tombola\.probes\[0\]: beam_size: is not an option",
        ),
        (
            "tombola.probes",
            '[{"png":"iVBORw0KGgo=","inputs":{"score_threshold":2},"expected":{}}]',
            r"tombola\.probes\[0\]: score_threshold: 2 must be a number from 0 to 1",
        ),
        ("tombola.vocabulary", '["a"]', r"tombola\.vocabulary: a file of this task has none"),
        ("tombola.probes", '[{"png":"!","expected":{}}]', r"tombola\.probes\[0\]: .* not base64"),
        ("tombola.probes", '[{"png":"aGk=","expected":{}}]', r"tombola\.probes\[0\]: .* not a PNG"),
        (
            "tombola.probes",
            '[{"png":"iVBORw0KGgo=","expected":{}}]',
            r"tombola\.probes\[0\]: expected answers",
        ),
    ],
)
def test_wrong_metadata_is_named(
    make_contract: MakeContract, key: str, text: str | None, message: str
) -> None:
    metadata = make_contract().to_metadata()
    if text is None:
        del metadata[key]
    else:
        metadata[key] = text
    with pytest.raises(ModelError, match=message):
        Contract.from_metadata(metadata)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"boxes": [], "scores": [0.5], "labels": []}, r"but \[0, 4\], \[1\] and \[0\]"),
        (
            {"boxes": [[0, 0, 1]], "scores": [0.5], "labels": [0]},
            r"boxes must be finite .* \[n, 4\]",
        ),
        (
            {"boxes": [[0, 0, 1, float("nan")]], "scores": [0.5], "labels": [0]},
            r"boxes must be finite .* \[n, 4\]",
        ),
        (
            {"boxes": [[0, 0, 1, 10**400]], "scores": [0.5], "labels": [0]},
            r"boxes must be finite .* \[n, 4\]",
        ),
        ({"boxes": [[0, 0, 1, 1]], "scores": ["0.5"], "labels": [0]}, "scores must be finite numbers"),
        ({"boxes": [[0, 0, 1, 1]], "scores": [0.5], "labels": [3]}, "outside of its 3 labels"),
    ],
)
def test_wrong_probe_is_named(
    make_contract: MakeContract, expected: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(ModelError, match=rf"tombola\.probes\[0\]: .*{message}"):
        make_contract(probes=(Probe(PNG_SIGNATURE, expected),))


def test_version_is_told_before_keys_that_it_may_have_renamed() -> None:
    with pytest.raises(ModelError, match="version 7 is not one this Tombola reads"):
        Contract.from_metadata({"tombola.contract": "7"})


def test_values_that_json_cannot_hold_are_refused(make_contract: MakeContract) -> None:
    for card in ({"figure": float("nan")}, {"figure": object()}):
        with pytest.raises(ModelError, match="JSON cannot"):
            make_contract(card=card).to_metadata()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("score_threshold", -0.01),
        ("score_threshold", 1.01),
        ("score_threshold", float("nan")),
        ("iou_threshold", "0.5"),
        ("iou_threshold", True),
        ("max_detections", 0),
        ("max_detections", 2.0),
        ("max_detections", 2**31),
    ],
)
def test_options_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(ModelError, match=name):
        DETECT.option_feeds({name: value})


def test_graph_that_keeps_the_contract_passes() -> None:
    check_graph("detect", DETECT.inputs, DETECT.optional_inputs, DETECT.outputs)
    unknown_shapes = [TensorSpec(spec.name, spec.dtype, None) for spec in DETECT.outputs]
    check_graph("detect", DETECT.inputs, DETECT.optional_inputs, unknown_shapes)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([], "asks for the input image"),
        ([TensorSpec("image", "float32", ("h", "w", 3))], "but the file has image float32"),
        ([TensorSpec("image", "uint8", (320, 320, 3))], r"but the file has image uint8 \[320, 320, 3\]"),
        ([TensorSpec("image", "uint8", ("h", "w", 1))], "but the file has image"),
        ([TensorSpec("image", "uint8", ("n", "h", "w", 3))], "but the file has image"),
        ([TensorSpec("image", "uint8", ("h", "w", 3)), TensorSpec("size", "int64", (2,))], "no input 'size'"),
    ],
)
def test_graph_with_other_inputs_is_refused(image: list[TensorSpec], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_graph("detect", image, DETECT.optional_inputs, DETECT.outputs)


def test_optional_input_without_a_default_is_told_the_cure() -> None:
    with pytest.raises(ModelError, match="'score_threshold' must be optional: store its default"):
        check_graph("detect", [*DETECT.inputs, DETECT.optional_inputs[0]], [], DETECT.outputs)


def test_each_optional_input_and_output_is_required() -> None:
    for index in range(3):
        optional = [spec for place, spec in enumerate(DETECT.optional_inputs) if place != index]
        with pytest.raises(ModelError, match=f"optional input {DETECT.optional_inputs[index].name}"):
            check_graph("detect", DETECT.inputs, optional, DETECT.outputs)
        outputs = [spec for place, spec in enumerate(DETECT.outputs) if place != index]
        with pytest.raises(ModelError, match=f"output {DETECT.outputs[index].name}"):
            check_graph("detect", DETECT.inputs, DETECT.optional_inputs, outputs)


def test_card_reaches_the_file_as_readable_text(make_contract: MakeContract) -> None:
    metadata = make_contract(card={"author": "Zoë"}).to_metadata()
    assert json.loads(metadata["tombola.card"]) == {"author": "Zoë"}
    assert "Zoë" in metadata["tombola.card"]


def test_a_hundred_thousand_names_are_held_against_each_other_at_once(
    make_contract: MakeContract,
) -> None:
    names = tuple(f"class {number}" for number in range(100_000))
    assert len(make_contract(labels=names).labels) == 100_000
    with pytest.raises(ModelError, match="'class 99999' is there twice"):
        make_contract(labels=(*names, "class 99999"))
