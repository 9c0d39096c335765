"""What an export refuses, and that it then leaves nothing behind."""

import errno
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from tombola.errors import ExportError, OutputError
from tombola.export.graph.graph import to_graph

Again = Callable[..., Any]


def test_a_second_export_writes_the_same_model(exported: Any, again: Again, tmp_path: Path) -> None:
    report = again(tmp_path / "again.onnx")
    other = onnx.load(report.path)
    assert other.graph == exported.model.graph
    assert [path.name for path in tmp_path.iterdir()] == ["again.onnx"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_named(
    value: float, make_network: Any, again: Again, tmp_path: Path
) -> None:
    network = make_network()
    with torch.no_grad():
        network.roi_head.classes.weight[1, 2] = value
    with pytest.raises(ExportError, match=r"roi_head\.classes\.weight has 1 of 64 numbers that are NaN"):
        again(tmp_path / "m.onnx", network)
    assert not list(tmp_path.iterdir())


def test_statistics_that_fold_into_nan_are_named(make_network: Any, again: Again, tmp_path: Path) -> None:
    network = make_network()
    network.backbone.stages[0].norm.running_var[0] = -1.0
    with pytest.raises(ExportError, match=r"backbone\.stages\.0\.weight has"):
        again(tmp_path / "m.onnx", network)


def test_a_weight_beyond_float16_is_named(make_network: Any, again: Again, tmp_path: Path) -> None:
    network = make_network()
    with torch.no_grad():
        network.neck.smooths[0].weight[0, 0, 0, 0] = 1e6
    with pytest.raises(ExportError, match=r"neck\.smooths\.0\.weight holds 1e\+06.*without half"):
        again(tmp_path / "m.onnx", network)
    assert not list(tmp_path.iterdir())


def test_labels_must_fit_the_network(again: Again, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="3 classes, but 2 labels"):
        again(tmp_path / "m.onnx", labels=("apple", "brick"))


def test_labels_must_keep_the_contract(again: Again, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="'apple' is there twice"):
        again(tmp_path / "m.onnx", labels=("apple", "apple", "candle"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"defaults": {"score_threshold": 1.5, "iou_threshold": 0.5, "max_detections": 1}}, "1.5 must be"),
        ({"defaults": {"score_threshold": 0.5}}, "must name score_threshold, iou_threshold"),
        ({"facts": {"made": date(2026, 1, 2)}}, "a value that JSON cannot"),
        ({"facts": {"metrics": {"map": float("nan")}}}, "a value that JSON cannot"),
    ],
)
def test_what_no_file_may_say_is_refused_at_once(
    wrong: dict[str, Any], message: str, again: Again, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=message):
        again(tmp_path / "m.onnx", **wrong)
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_is_refused(again: Again, tmp_path: Path) -> None:
    def shift_a_row(graph: onnx.GraphProto) -> None:
        tensor = next(t for t in graph.initializer if t.name.endswith("roi_head.classes.weight"))
        values = numpy_helper.to_array(tensor).copy()
        values[0] += np.float32(0.01)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    with pytest.raises(ExportError, match=r"on the drawn picture of 64x64 px.*nothing was written"):
        again(tmp_path / "m.onnx", change=shift_a_row)
    assert not list(tmp_path.iterdir())


def test_foreign_operators_are_refused(again: Again, tmp_path: Path) -> None:
    def add_foreign(graph: onnx.GraphProto) -> None:
        graph.node.append(helper.make_node("Gelu", ["boxes"], ["more"], "odd", domain="com.microsoft"))

    with pytest.raises(ExportError, match=r"operators of \['com.microsoft'\]"):
        again(tmp_path / "m.onnx", change=add_foreign)


def test_a_broken_graph_is_refused(again: Again, tmp_path: Path) -> None:
    def cut(graph: onnx.GraphProto) -> None:
        del graph.node[20]

    with pytest.raises(ExportError, match="ONNX's checker refuses the graph"):
        again(tmp_path / "m.onnx", change=cut)


def test_what_pytorch_cannot_export_is_one_error() -> None:
    class Undecided(nn.Module):
        def forward(self, image: torch.Tensor, *_: torch.Tensor) -> tuple[torch.Tensor, ...]:
            if image.float().mean() > 0:
                return image, image, image
            return image, image, image + 1

    example = (torch.zeros(5, 6, 3, dtype=torch.uint8), torch.tensor(0.1), torch.tensor(0.1), torch.tensor(1))
    with pytest.raises(ExportError, match=r"PyTorch 2\..* cannot export this network"):
        to_graph(Undecided(), "detect", example, {})


def test_a_folder_is_no_file(again: Again, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        again(tmp_path)


def test_another_suffix_is_refused(again: Again, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"does not end in \.onnx"):
        again(tmp_path / "model.pt")


def test_a_file_in_the_way_of_the_folder_is_told(again: Again, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(OutputError, match=r"m\.onnx cannot be written: .*taken is not a folder"):
        again(tmp_path / "taken" / "m.onnx")


def test_a_folder_without_permission_is_told(
    again: Again, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not by chmod: an administrator may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    with pytest.raises(OutputError, match="is not a folder you may write to"):
        again(tmp_path / "new" / "m.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_write_that_fails_keeps_the_old_file(
    code: int, again: Again, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"the old one")

    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match=os.strerror(code)):
        again(path)
    assert path.read_bytes() == b"the old one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.onnx"]
