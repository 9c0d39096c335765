"""The whole file: its answers beside PyTorch's, its form, and what it says about itself."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from tombola.export.parity.question import SIZES_HW, drawn_picture
from tombola.runtime.contract.contract import Contract, check_graph
from tombola.runtime.modelfile.graph import check_contract, read_graph
from tombola.runtime.tasks.detect.signature import DETECT
from tombola.runtime.verify import probe_feeds, verify

LABELS = ("apple", "brick", "candle")
DEFAULTS = {"score_threshold": 0.2, "iou_threshold": 0.5, "max_detections": 20}
PROBE = drawn_picture((150, 210))


def test_the_network_before_folding_answers_alike(exported: Any, make_input: Any) -> None:
    """Against the trained network itself: no folding, no rounding, none of the export's own code."""
    picture_input = make_input()
    for size_hw in ((300, 400), (190, 150)):
        image = drawn_picture(size_hw)
        with torch.no_grad():
            pixels, inside_hw, factors = picture_input(torch.from_numpy(image))
            thresholds = (torch.tensor(0.2), torch.tensor(0.5), torch.tensor(20))
            boxes, scores, labels = exported.network.detect(pixels, inside_hw, *thresholds)
        found, wanted_xyxy = exported(image), (boxes * factors).numpy()
        assert len(found["scores"]) == len(scores) > 5
        # Box by box: where two scores are nearly equal, either may come first.
        order = np.abs(found["boxes"][:, None] - wanted_xyxy[None]).max(axis=2).argmin(axis=0)
        assert len(set(order.tolist())) == len(order)
        np.testing.assert_array_equal(found["labels"][order], labels)
        # Weights rounded to float16 move a box by hundredths of a pixel.
        np.testing.assert_allclose(found["boxes"][order], wanted_xyxy, atol=0.5)
        np.testing.assert_allclose(found["scores"][order], scores, atol=5e-3)


def test_parity_was_checked_over_all_sizes(exported: Any) -> None:
    compared = exported.report.parity.comparisons
    assert {one.size_hw for one in compared if one.question == "drawn"} == set(SIZES_HW)
    assert {(2160, 3840), (64, 64), (1, 1)} < set(SIZES_HW)
    assert {one.options["score_threshold"] for one in compared} == {0.2, 0.05}
    assert sum(one.count for one in compared) > 100
    boxes, scores = zip(*(one.differences for one in compared), strict=True)
    assert all(one.value <= one.allowed == 0.1 for one in boxes)
    assert all(one.value <= one.allowed == 1e-3 for one in scores)
    card = exported.report.contract.card["parity"]
    assert card["boxes"] == sum(one.count for one in compared)
    assert card["box_difference_px"] == max(one.value for one in boxes)
    assert card["score_difference"] == max(one.value for one in scores)


@pytest.mark.parametrize("size_hw", [(96, 96), (97, 33), (33, 97), (1, 200), (200, 1), (640, 427), (2, 3)])
def test_boxes_lie_in_the_source_picture(size_hw: tuple[int, int], exported: Any) -> None:
    found = exported(drawn_picture(size_hw), score_threshold=0.01)
    boxes, scores, labels = found["boxes"], found["scores"], found["labels"]
    assert 0 < len(scores) == len(boxes) == len(labels) <= 20
    assert (boxes >= 0).all()
    assert (boxes[:, [0, 2]] <= size_hw[1]).all()
    assert (boxes[:, [1, 3]] <= size_hw[0]).all()
    assert (boxes[:, 2:] >= boxes[:, :2]).all()
    assert (np.diff(scores) <= 0).all()
    assert set(labels.tolist()) <= {0, 1, 2}


def test_nothing_above_the_threshold_is_nothing(exported: Any) -> None:
    blank = np.zeros((70, 130, 3), np.uint8)
    found = exported(blank, score_threshold=1.0)
    assert {name: array.shape for name, array in found.items()} == {
        "boxes": (0, 4), "scores": (0,), "labels": (0,)
    }  # fmt: skip


def test_optional_inputs_default_to_what_the_file_stores(exported: Any) -> None:
    plain, fed = exported(PROBE), exported(PROBE, **DEFAULTS)
    assert len(plain["scores"]) > 5
    for name, array in plain.items():
        np.testing.assert_array_equal(array, fed[name])


def test_optional_inputs_are_obeyed(exported: Any) -> None:
    everything = exported(PROBE, score_threshold=0.0, max_detections=1000)
    middle = float(np.median(everything["scores"]))
    above = exported(PROBE, score_threshold=middle, max_detections=1000)
    assert 0 < len(above["scores"]) < len(everything["scores"])
    assert above["scores"].min() > middle
    np.testing.assert_array_equal(above["scores"], everything["scores"][everything["scores"] > middle])

    three = exported(PROBE, max_detections=3)
    np.testing.assert_array_equal(three["boxes"], exported(PROBE)["boxes"][:3])
    assert len(exported(PROBE, max_detections=0)["scores"]) == 0

    strict, lenient = (exported(PROBE, iou_threshold=t, max_detections=1000) for t in (0.1, 1.0))
    assert len(strict["scores"]) < len(lenient["scores"])
    assert largest_overlap(strict) <= 0.1 + 1e-6
    assert largest_overlap(lenient) > 0.5


def largest_overlap(found: dict[str, NDArray[Any]]) -> float:
    """The largest IoU of two boxes of one label."""
    best = 0.0
    for i, (a, label) in enumerate(zip(found["boxes"], found["labels"], strict=True)):
        for b in found["boxes"][:i][found["labels"][:i] == label]:
            sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
            union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - np.prod(sides)
            best = max(best, float(np.prod(sides) / max(union, 1e-9)))
    return best


def test_the_file_is_plain_onnx(exported: Any) -> None:
    model = exported.model
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 20)]
    assert model.ir_version == 9  # onnxruntime 1.17 reads no later one
    assert not model.functions
    assert {node.domain for node in model.graph.node} == {""}
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in model.graph.initializer)
    onnx.checker.check_model(model, full_check=True)


def test_the_runtime_takes_it(exported: Any) -> None:
    graph = read_graph(exported.report.path.read_bytes())
    contract = check_contract(graph)
    assert contract == exported.report.contract
    assert contract.labels == LABELS
    assert dict(contract.defaults) == DEFAULTS
    check_graph("detect", graph.inputs, graph.optional_inputs, graph.outputs)


def test_metadata_survives_the_file(exported: Any) -> None:
    metadata = {entry.key: entry.value for entry in exported.model.metadata_props}
    contract = Contract.from_metadata(metadata)
    assert contract == exported.report.contract
    assert metadata["names"] == "{0: 'apple', 1: 'brick', 2: 'candle'}"
    assert metadata["imgsz"] == "[96, 96]"
    card = contract.card
    assert card["name"] == "small"
    assert card["sizes"]["stored_as"].startswith("float16")
    assert sum(card["sizes"]["nbytes"].values()) == sum(one.nbytes for one in exported.report.parts)


def test_probes_are_what_the_file_answers(exported: Any) -> None:
    probes = exported.report.contract.probes
    assert len(probes) == 3
    for probe in probes:
        feeds = probe_feeds(probe, DETECT)
        assert probe.inputs["score_threshold"] == 0
        assert len(probe.expected["labels"]) == probe.inputs["max_detections"]
        found = exported(feeds["image"], **probe.inputs)
        for name, wanted in probe.expected.items():
            np.testing.assert_allclose(found[name], np.array(wanted).reshape(found[name].shape), atol=1e-5)
    assert sum(len(probe.expected["labels"]) for probe in probes) > 20
    assert verify(exported.report.path, "cpu").ok


def test_the_card_has_both_links_of_the_chain(exported: Any) -> None:
    """What rounding the weights moved, and how far the file is from the rounded network."""
    card = exported.report.contract.card
    assert card["parity"]["of"] == "the file against the network with its weights as stored"
    assert card["rounding"]["of"] == "its weights as stored against as trained"
    assert card["parity"]["box_difference_px"] > 0
    assert card["rounding"]["box_difference_px"] > 0
    assert 0 < card["parity"]["score_difference"] < card["rounding"]["score_difference"]


def test_nothing_of_this_machine_is_in_the_file(exported: Any) -> None:
    content = exported.report.path.read_bytes()
    for trace in (b"site-packages", b'File "', b"/tombola/", b".py"):
        assert trace not in content


def test_node_names_tell_the_parts_apart(exported: Any) -> None:
    parts: dict[str, list[str]] = {"pre": [], "net": [], "post": []}
    for node in exported.model.graph.node:
        parts[node.name.split("/")[0]].append(node.op_type)
    assert {"Resize", "Transpose", "Pad"} <= set(parts["pre"])
    assert not {"Conv", "Gemm", "RoiAlign", "NonMaxSuppression"} & set(parts["pre"])
    assert parts["post"][0] != "Conv"
    assert parts["post"].count("NonMaxSuppression") == 1
    assert not {"Conv", "Gemm", "RoiAlign", "Softmax"} & set(parts["post"])
    assert parts["net"].count("NonMaxSuppression") == 1
    names = [node.name for node in exported.model.graph.node]
    assert len(set(names)) == len(names)
    assert "net/backbone.stages.0_0" in names


def test_no_batch_norm_is_left(exported: Any) -> None:
    kinds = {node.op_type for node in exported.model.graph.node}
    assert not {"BatchNormalization", "Reciprocal", "Dropout"} & kinds
    weights = {tensor.name for tensor in exported.model.graph.initializer if tensor.name.endswith(".weight")}
    assert "backbone.stages.0.weight" in weights
    assert not any("norm" in name or "running" in name for name in weights)
