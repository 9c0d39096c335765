"""One small exported detector for the whole folder: an export takes half a minute, a comparison no time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import tombola.export.export as export_module
from tombola.export.export import ExportReport, export_network
from tombola.export.graph.graph import quiet, to_graph
from tombola.export.graph.translations import OPSET, TRANSLATIONS
from tombola.export.tasks.detect.exportable import exportable_detector
from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.backbones.mobilenet import StagePlan, inverted_residual_net
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.networks.detect.proposals import ProposalSettings
from tombola.train.networks.detect.roi_head import RoiSettings
from tombola.train.networks.inputs.picture_input import PictureInput

LABELS = ("apple", "brick", "candle")
DEFAULTS: dict[str, float | int] = {"score_threshold": 0.2, "iou_threshold": 0.5, "max_detections": 20}


@pytest.fixture(scope="session")
def make_network() -> Callable[..., FasterRCNN]:
    return small_network


@pytest.fixture(scope="session")
def make_input() -> Callable[[], PictureInput]:
    return small_input


@pytest.fixture(scope="session")
def export_alone() -> Callable[..., Callable[..., list[NDArray[Any]]]]:
    return _export_alone


def small_network(
    *,
    pyramid: bool = True,
    pooling: Any = "align",
    box_classes: Any = "agnostic",
    seed: int = 0,
    given: bool = False,
) -> FasterRCNN:
    """A detector of a few thousand random weights, with heads scaled so that it finds things everywhere; one
    that is given its proposals, or makes them."""
    proposals = ProposalSettings(((20.0,), (60.0,)) if pyramid else ((20.0, 60.0),), after_nms=30)
    torch.manual_seed(seed)
    plan = (StagePlan(1, 3, 2, 1, 8), StagePlan(1, 3, 2, 2, 8), StagePlan(1, 3, 2, 2, 16))
    picture = Axis("picture", 3, pinned=True)
    network = FasterRCNN(
        inverted_residual_net(plan, picture, Axes(), strides=(8, 16) if pyramid else (16,)),
        len(LABELS),
        channels=16,
        pyramid=pyramid,
        proposals=None if given else proposals,
        roi=RoiSettings(pooling=pooling, pooled_size=3, width=16, box_classes=box_classes, finest_px=48.0),
    )
    enliven_network(network)
    return network.eval()


def enliven_network(network: FasterRCNN) -> None:
    """Statistics and heads as a training leaves them: scores far enough apart to be ranked."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.3, 1)
                module.weight.uniform_(0.8, 1.6)
                module.bias.normal_(0, 0.2)
        if network.proposals is not None:
            network.proposals.objectness.weight *= 30
            network.proposals.offsets.weight *= 10
        network.roi_head.classes.weight *= 100
        network.roi_head.offsets.weight *= 200


@pytest.fixture(scope="session")
def enliven() -> Callable[[FasterRCNN], None]:
    return enliven_network


def small_input() -> PictureInput:
    return PictureInput(96, FasterRCNN.size_divisor, (127.0, 120.0, 110.0), (1 / 128, 1 / 64, 1 / 100))


@dataclass(frozen=True)
class Exported:
    """What the shared export left: `graph` as PyTorch's exporter made it, before ours changed anything."""

    network: FasterRCNN
    report: ExportReport
    model: onnx.ModelProto
    graph: onnx.ModelProto
    session: ort.InferenceSession

    def __call__(self, image_rgb_u8: NDArray[np.uint8], **options: Any) -> dict[str, NDArray[Any]]:
        """The file's answer to one picture; an option that is not given is not fed."""
        feeds: dict[str, NDArray[Any]] = {"image": image_rgb_u8}
        for name, value in options.items():
            feeds[name] = np.array(value, np.int64 if name == "max_detections" else np.float32)
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, feeds), strict=True))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    made: list[onnx.ModelProto] = []

    def remember(*args: Any, **kwargs: Any) -> onnx.ModelProto:
        model = to_graph(*args, **kwargs)
        made.append(_copy(model))
        return model

    network = small_network()
    path = tmp_path_factory.mktemp("export") / "small.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_module, "to_graph", remember)
        exportable = exportable_detector(network, small_input(), LABELS, DEFAULTS)
        report = export_network(exportable, path, facts={"name": "small"})
    return Exported(network, report, onnx.load(path), made[0], _open(path.read_bytes()))


@pytest.fixture
def again(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ExportReport]:
    """Export again by all steps but PyTorch's own, whose result is kept; `change` may alter that first."""

    def export_again(
        output: Path,
        network: FasterRCNN = exported.network,
        change: Callable[[onnx.GraphProto], object] = lambda _: None,
        **settings: Any,
    ) -> ExportReport:
        model = _copy(exported.graph)
        change(model.graph)
        monkeypatch.setattr(export_module, "to_graph", lambda *_: model)
        labels, defaults = settings.pop("labels", LABELS), settings.pop("defaults", DEFAULTS)
        exportable = exportable_detector(network, small_input(), labels, defaults)
        return export_network(exportable, output, **settings)

    return export_again


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


def _open(model: bytes, *, threads: int = 1) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _export_alone(
    module: nn.Module, example: Sequence[Tensor], dynamic: Sequence[Sequence[int]]
) -> Callable[..., list[NDArray[Any]]]:
    """Export one operator or part, `dynamic` lists the varying axes of each input; returns what runs it."""
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            tuple(example),
            dynamo=True,
            opset_version=OPSET,
            custom_translation_table=TRANSLATIONS,
            dynamic_shapes=tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in dynamic),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    assert {node.domain for node in model.graph.node} <= {""}
    session = _open(model.SerializeToString())
    names = [value.name for value in session.get_inputs()]

    def run(*inputs: NDArray[Any]) -> list[NDArray[Any]]:
        values: list[NDArray[Any]] = session.run(None, dict(zip(names, inputs, strict=True)))
        return values

    return run
