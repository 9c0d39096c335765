"""A file ruined in any of the ways that happen is found by `verify`, at all scores above 0."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tombola.cli.shipped import model_or_shipped
from tombola.errors import ExportError
from tombola.export.parity.probes import make_probes, renew_probes
from tombola.export.parity.question import Asking, PictureAsking, drawn_picture
from tombola.export.tasks.detect.asking import DetectAsking
from tombola.runtime.load import load
from tombola.runtime.pictures.picture import read_rgb
from tombola.runtime.verify import verify

ASKING: dict[str, Asking] = {"detect": DetectAsking(), "classify": PictureAsking()}
PHOTOS = Path(__file__).parents[1] / "photos"
Weights = NDArray[np.float32]
Ruin = Callable[[Weights], Weights]


def shuffled(weights: Weights) -> Weights:
    """Other random numbers of the same spread."""
    return np.random.default_rng(0).normal(weights.mean(), weights.std(), weights.shape).astype(np.float32)


RUINS: dict[str, dict[str, tuple[str, Ruin]]] = {
    "detect": {
        "class rows rotated": ("roi_head.classes.weight", lambda w: np.roll(w, 1, axis=0)),
        "class biases rotated": ("roi_head.classes.bias", lambda w: np.roll(w, 1)),
        "box offsets negated": ("roi_head.offsets.weight", np.negative),
        "one layer randomised": ("backbone.stages.0.weight", shuffled),
        "channel order swapped": ("backbone.stages.0.weight", lambda w: w[:, ::-1]),
        "mean of the normalisation": ("picture_input.mean", lambda w: w + 20),
        "scale of the normalisation": ("picture_input.scale", lambda w: w * 1.1),
    },
    "classify": {
        "class rows rotated": ("head.weight", lambda w: np.roll(w, 1, axis=0)),
        "one layer randomised": ("blocks.1.0.weight", shuffled),
        "a layer set to zero": ("blocks.0.0.weight", np.zeros_like),
        "channel order swapped": ("picture_input.luma", lambda w: w[:, ::-1]),
        "mean of the normalisation": ("picture_input.mean", lambda w: w + 20),
        "scale of the normalisation": ("picture_input.scale", lambda w: w * 1.1),
    },
}
# A weight of each that is stored as int8 in the test below.
INT8 = {"detect": "roi_head.hidden.0.weight", "classify": "blocks.2.0.weight"}


def change(model: onnx.ModelProto, name: str, ruin: Ruin) -> bytes:
    """The file with one of its tensors made another one."""
    (tensor,) = (one for one in model.graph.initializer if one.name == name)
    old = numpy_helper.to_array(tensor)
    new = np.ascontiguousarray(ruin(old.astype(np.float32)), np.float32).astype(old.dtype)
    assert not np.array_equal(old, new)
    tensor.CopyFrom(numpy_helper.from_array(new, name))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(("task", "ruin"), [(task, ruin) for task, ruins in RUINS.items() for ruin in ruins])
def test_a_ruined_file_is_found(task: str, ruin: str) -> None:
    report = verify(change(onnx.load(model_or_shipped(None, task)), *RUINS[task][ruin]), "cpu")
    assert not report.ok
    assert any(probe.problem for probe in report.probes)


@pytest.mark.parametrize("task", RUINS)
def test_what_ships_has_much_to_compare(task: str) -> None:
    report = verify(model_or_shipped(None, task), "cpu")
    assert report.ok
    assert report.count >= {"detect": 50, "classify": 20}[task]


def as_int8(model: onnx.ModelProto, name: str) -> None:
    """Store one weight as int8 with a scale for each of its first dimension, behind a DequantizeLinear."""
    graph = model.graph
    (tensor,) = (one for one in graph.initializer if one.name == name)
    values = numpy_helper.to_array(tensor).astype(np.float32)
    scales = np.abs(values).reshape(len(values), -1).max(axis=1) / 127
    rounded = np.round(values / scales.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
    tensor.CopyFrom(numpy_helper.from_array(rounded, name))
    graph.initializer.append(numpy_helper.from_array(scales, f"{name}/scale"))
    (cast,) = (node for node in graph.node if node.op_type == "Cast" and node.input[0] == name)
    cast.CopyFrom(
        helper.make_node(
            "DequantizeLinear", [name, f"{name}/scale"], list(cast.output), f"net/{name}/dequantize", axis=0
        )
    )


@pytest.mark.parametrize("task", INT8)
def test_probes_are_renewed_and_find_a_scale_that_doubled(task: str, tmp_path: Path) -> None:
    model = onnx.load(model_or_shipped(None, task))
    as_int8(model, INT8[task])
    path = tmp_path / "int8.onnx"
    path.write_bytes(model.SerializeToString())
    renew_probes(path, ASKING[task], [read_rgb(PHOTOS / "chelsea.jpg")])
    assert verify(path, "cpu").ok
    doubled = change(onnx.load(path), f"{INT8[task]}/scale", lambda scales: 2 * scales)
    assert not verify(doubled, "cpu").ok


@pytest.mark.parametrize("task", RUINS)
def test_renewing_changes_nothing_but_the_probes(task: str, tmp_path: Path) -> None:
    path = tmp_path / "copy.onnx"
    path.write_bytes(model_or_shipped(None, task).read_bytes())
    before = onnx.load(path)
    contract = renew_probes(path, ASKING[task], [drawn_picture((50, 60))])
    after = onnx.load(path)
    assert after.graph == before.graph
    old, new = ({one.key: one.value for one in model.metadata_props} for model in (before, after))
    assert {key for key in old if old[key] != new[key]} == {"tombola.probes"}
    assert load(path, "cpu").contract == contract


def test_a_file_that_gives_nothing_to_compare_gets_no_probes() -> None:
    """Class scores of zero at any picture: no probe could tell such a file from a ruined one."""
    model = onnx.load(model_or_shipped(None, "detect"))
    only_background = np.full(21, -1000, np.float32)
    only_background[-1] = 1000
    change(model, "roi_head.classes.weight", np.zeros_like)
    change(model, "roi_head.classes.bias", lambda _: only_background)
    with pytest.raises(ExportError, match="does the network give boxes that another machine"):
        make_probes(model, "detect", ASKING["detect"], [read_rgb(PHOTOS / "chelsea.jpg")])
