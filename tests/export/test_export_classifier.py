"""A classifier's file: its answers beside PyTorch's, its form, and what it refuses."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

import tombola.export.export as export_module
from tombola.errors import ExportError
from tombola.export.export import ExportReport, export_network
from tombola.export.graph.graph import to_graph
from tombola.export.parity.question import SIZES_HW, drawn_picture
from tombola.export.tasks.classify.exportable import exportable_classifier
from tombola.runtime.contract.contract import Contract
from tombola.runtime.load import load
from tombola.runtime.verify import verify
from tombola.train.networks.classify.backbone_classifier import (
    BackboneClassifier,
    InvertedResidualSettings,
    ResNet20Settings,
    ResNetSettings,
)
from tombola.train.networks.classify.classifiers import Classifier, NetworkSettings, build_classifier
from tombola.train.networks.classify.cnn import CnnSettings
from tombola.train.networks.classify.densenet import DenseNetSettings
from tombola.train.networks.classify.highway import HighwaySettings
from tombola.train.networks.classify.mlp import MlpSettings
from tombola.train.networks.classify.patches import Patches, PatchesSettings
from tombola.train.networks.inputs.classifier_input import ClassifierInput

LABELS = ("apple", "brick", "candle", "drum")
SMALL = CnnSettings(blocks=((8,), (16,)), dense=(16,), batch_norm=True)


def small_network(
    settings: NetworkSettings = SMALL,
    *,
    channels: int = 3,
    side: int = 32,
    widths: Mapping[str, int] | None = None,
) -> Classifier:
    """Random weights and statistics, and a head that tells pictures apart."""
    torch.manual_seed(0)
    network = build_classifier(
        settings, channels=channels, size_hw=(side, side), n_classes=len(LABELS), widths=widths
    )
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.3, 1)
                module.weight.uniform_(0.8, 1.6)
                module.bias.normal_(0, 0.2)
        network.head.weight *= 5
    return network.eval()


def small_input(*, fit: Any = "crop", channels: int = 3, side: int = 32) -> ClassifierInput:
    level, scale = (120.0, 110.0, 100.0)[:channels], (1 / 64, 1 / 100, 1 / 80)[:channels]
    return ClassifierInput((side, side), fit=fit, channels=channels, mean=level, scale=scale)


@dataclass(frozen=True)
class Exported:
    """`graph` as PyTorch's exporter made it, before ours changed anything."""

    network: Classifier
    report: ExportReport
    model: onnx.ModelProto
    graph: onnx.ModelProto


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    made: list[onnx.ModelProto] = []

    def remember(*args: Any) -> onnx.ModelProto:
        made.append(onnx.ModelProto())
        model = to_graph(*args)
        made[0].CopyFrom(model)
        return model

    network = small_network()
    path = tmp_path_factory.mktemp("classifier") / "small.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_module, "to_graph", remember)
        report = export_network(
            exportable_classifier(network, small_input(), LABELS), path, facts={"name": "small"}
        )
    return Exported(network, report, onnx.load(path), made[0])


def asked(
    network: Classifier, picture_input: ClassifierInput, image: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """What the trained network says, with none of the export's own code."""
    with torch.no_grad():
        logits = network(picture_input(torch.from_numpy(image)))
    return np.asarray(logits.softmax(dim=1)[0], np.float32)


@pytest.mark.parametrize("size_hw", [(1, 1), (32, 32), (150, 210), (210, 150), (5, 400), (400, 5)])
def test_the_network_before_folding_answers_alike(size_hw: tuple[int, int], exported: Exported) -> None:
    image = drawn_picture(size_hw, seed=7)
    found = load(exported.report.path, "cpu", task="classify")(image)
    # Weights rounded to float16 move a probability by thousandths.
    wanted = asked(exported.network, small_input(), image)
    np.testing.assert_allclose(found.probabilities, wanted, atol=5e-3)
    assert wanted.max() > 0.3


def test_pictures_are_told_apart(exported: Exported) -> None:
    """Or the comparisons would compare constants."""
    model = load(exported.report.path, "cpu", task="classify")
    answers = [model(drawn_picture((60, 80), seed)).probabilities for seed in range(8)]
    assert np.ptp(answers, axis=0).max() > 0.2


def test_parity_was_checked_over_all_sizes_and_the_networks_own(exported: Exported) -> None:
    parity = exported.report.parity
    assert {one.size_hw for one in parity.comparisons} == {
        *SIZES_HW, (32, 32), (32, 96), (96, 32), (120, 160)
    }  # fmt: skip
    (worst,) = parity.worst
    assert worst.value <= worst.allowed == 1e-4
    card = exported.report.contract.card["parity"]
    assert card["probability_difference"] == worst.value
    assert (card["comparisons"], card["undecided"]) == (len(parity.comparisons), 0)


def test_the_file_keeps_the_contract(exported: Exported) -> None:
    onnx.checker.check_model(exported.model, full_check=True)
    assert {node.domain for node in exported.model.graph.node} == {""}
    assert [(value.name, dims(value)) for value in exported.model.graph.input] == [
        ("image", ["height", "width", 3])
    ]
    assert [(value.name, dims(value)) for value in exported.model.graph.output] == [("probabilities", [4])]
    metadata = {entry.key: entry.value for entry in exported.model.metadata_props}
    assert Contract.from_metadata(metadata) == exported.report.contract
    assert (metadata["task"], metadata["imgsz"]) == ("classify", "[32, 32]")
    assert exported.report.contract.labels == LABELS
    assert exported.report.contract.card["name"] == "small"


def dims(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_its_probes_verify(exported: Exported) -> None:
    report = verify(exported.report.path, "cpu")
    assert len(report.probes) == 3
    assert report.ok


def test_nodes_are_named_by_their_part(exported: Exported) -> None:
    parts: dict[str, list[str]] = {"pre": [], "net": [], "post": []}
    for node in exported.model.graph.node:
        parts[node.name.split("/")[0]].append(node.op_type)
    assert {"Resize", "Slice", "Sub", "Mul"} <= set(parts["pre"])
    assert not {"Conv", "Gemm"} & set(parts["pre"])
    assert {"Conv", "Gemm"} <= set(parts["net"])
    assert parts["post"] == ["Softmax"]


def test_norms_are_folded_and_weights_are_halves(exported: Exported) -> None:
    kinds = {node.op_type for node in exported.model.graph.node}
    assert not {"BatchNormalization", "Dropout"} & kinds
    stored = {tensor.name: tensor.data_type for tensor in exported.model.graph.initializer}
    assert onnx.TensorProto.FLOAT16 in stored.values()
    assert [part.name for part in exported.report.parts] == [
        "blocks.0", "blocks.1", "dense.0", "head", "constants"
    ]  # fmt: skip


def test_a_file_that_answers_otherwise_is_refused(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(exported.graph)
    head = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("head.bias"))
    bias = numpy_helper.to_array(head).copy()
    bias[1] += np.float32(2e-3)
    head.CopyFrom(numpy_helper.from_array(bias, head.name))
    monkeypatch.setattr(export_module, "to_graph", lambda *_: model)
    with pytest.raises(ExportError, match=r"are apart: probabilities by .* \(allowed is 0.0001\)"):
        export_network(exportable_classifier(exported.network, small_input(), LABELS), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_labels_must_fit_the_network(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="the network knows 4 classes, but 2 labels were given"):
        export_network(exportable_classifier(small_network(), small_input(), LABELS[:2]), tmp_path / "m.onnx")


def test_a_grey_perceptron_on_stretched_pictures_exports(tmp_path: Path) -> None:
    """The other half of the choices: no convolution, one channel, no crop, weights in full."""
    network = small_network(MlpSettings(widths=(24,), batch_norm=True), channels=1, side=28)
    picture_input = small_input(fit="stretch", channels=1, side=28)
    report = export_network(
        exportable_classifier(network, picture_input, LABELS), tmp_path / "m.onnx", half=False
    )
    model = load(report.path, "cpu", task="classify")
    image = drawn_picture((90, 40), seed=3)
    np.testing.assert_allclose(model(image).probabilities, asked(network, picture_input, image), atol=1e-5)
    first = next(node for node in onnx.load(report.path).graph.node if node.op_type in ("Gemm", "MatMul"))
    assert first.name == "net/layers.0.0_0"


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        *(MlpSettings(widths=(40, 20), activation=name) for name in
          ("sigmoid", "tanh", "leaky_relu", "prelu", "elu", "maxout")),
        CnnSettings(blocks=((6,), (16,)), kernel=5, dense=(120, 84), activation="tanh", pool="average"),
        CnnSettings(blocks=((16, 16), (32, 32)), end="mean", dense=(), batch_norm=True),
        ResNetSettings(kind="resnet18", width=0.25),
        ResNetSettings(kind="resnet50", width=0.25, stem="small"),
        ResNet20Settings(),
        PatchesSettings(patch=8, layers=2),
        # With larger first weights 50 layers make much of a last bit: float32 is 0.004 from float64.
        InvertedResidualSettings(kind="mobilenet_v2", width=0.25, initialisation="default"),
        InvertedResidualSettings(kind="efficientnet_lite0", width=0.25, initialisation="default"),
        DenseNetSettings(blocks=(3, 3)),
        HighwaySettings(),
    ],
    ids=lambda settings: f"{settings.kind}-{getattr(settings, 'activation', '')}",
)  # fmt: skip
def test_every_kind_of_network_exports(settings: NetworkSettings, tmp_path: Path) -> None:
    network = small_network(settings)
    report = export_network(exportable_classifier(network, small_input(), LABELS), tmp_path / "m.onnx")
    assert verify(report.path, "cpu").ok
    kinds = {node.op_type for node in onnx.load(report.path).graph.node}
    # A DenseNet normalises before it activates and convolves, where nothing can take the norm in.
    assert ("BatchNormalization" in kinds) == (settings.kind == "densenet")


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [ResNet20Settings(pooling="attention"), PatchesSettings(patch=8, layers=2, pooling="attention")],
    ids=["resnet20", "patches"],
)
def test_where_a_network_looked_is_in_its_file(settings: NetworkSettings, tmp_path: Path) -> None:
    network = small_network(settings)
    assert isinstance(network, BackboneClassifier | Patches)
    assert network.pool is not None
    with torch.no_grad():
        network.pool.score.weight.mul_(20)  # so that not all cells are alike
    report = export_network(exportable_classifier(network, small_input(), LABELS), tmp_path / "m.onnx")
    model = load(report.path, "cpu", task="classify")
    image = drawn_picture((90, 40), seed=3)
    with torch.no_grad():
        _, weights = network.look(small_input()(torch.from_numpy(image)))
    answer = model(image)
    assert answer.attention is not None
    assert answer.seen == (25, 0, 40, 40)
    assert answer.attention.max() > 2 * answer.attention.min()
    np.testing.assert_allclose(answer.attention, weights[0].numpy(), atol=1e-3)
    assert verify(report.path, "cpu").ok


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "widths"),
    [
        (
            InvertedResidualSettings(kind="mobilenet_v2", width=0.25, initialisation="default"),
            {"stem": 5, "stages.2": 3, "last": 70},
        ),
        (ResNet20Settings(), {"stem": 7, "stages.2": 11, "stages.3.0.hidden": 1}),
        (DenseNetSettings(blocks=(2, 2)), {"stem": 3, "stages.0.1": 5, "stages.1.0.squeezed": 9}),
        (
            CnnSettings(blocks=((8,), (16,)), dense=(16,), activation="maxout"),
            {"blocks.1.0": 9, "dense.0": 3},
        ),
    ],
    ids=["mobilenet_v2", "resnet20", "densenet", "cnn"],
)
def test_networks_of_odd_widths_export(
    settings: NetworkSettings, widths: dict[str, int], tmp_path: Path
) -> None:
    network = small_network(settings, widths=widths)
    report = export_network(exportable_classifier(network, small_input(), LABELS), tmp_path / "m.onnx")
    assert verify(report.path, "cpu").ok
