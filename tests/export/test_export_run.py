"""From a run folder to a file, by the public door; and the kinds of network that can be exported."""

import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch

import tombola.export.run as run_module
from tombola.errors import PictureError, RecipeError, TrainingError
from tombola.export.export import export_network
from tombola.export.exportable import Exportable
from tombola.export.parity.question import drawn_picture
from tombola.export.run import export_run
from tombola.export.tasks.detect.exportable import exportable_detector
from tombola.train.networks.axis import Axes
from tombola.train.networks.backbones.backbones import build_backbone
from tombola.train.networks.classify.classifiers import build_classifier
from tombola.train.networks.classify.mlp import MlpSettings
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.networks.detect.proposals import ProposalSettings
from tombola.train.networks.detect.roi_head import RoiSettings
from tombola.train.networks.inputs.picture_input import PictureInput
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.detect.task import build
from tombola.train.tasks.table import load_recipe

RECIPE = """
task = "detect"
name = "fruit"
data.rights = "All pictures are our own."
data.classes = ["apple", "brick", "candle"]
data.train = [{ annotations = "none.json", pictures = "none" }]
network = { backbone = "mobilenet_v2", width = 0.125, channels = 16 }
roi = { width = 16 }
picture.size = 64
answer = { score_threshold = 0.3, iou_threshold = 0.6, max_detections = 7 }
"""


@pytest.fixture
def run(tmp_path: Path, enliven: Any) -> Path:
    """A run folder after two epochs, the first of which was the better."""
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_recipe(RECIPE)
    torch.manual_seed(0)
    network = build(load_recipe(folder.recipe_path), 3)
    enliven(network)
    folder.write_weights("best", network.state_dict(), {})
    folder.write_metrics(
        [
            {"epoch": 1, "step": 10, "loss": 2.0, "valid_voc07_map": 0.5},
            {"epoch": 2, "step": 20, "loss": 1.0, "valid_voc07_map": 0.4},
        ]
    )
    folder.write_lineage({"parent": None})
    return folder.path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `export_run` asks of `export_network`."""
    given: dict[str, Any] = {}

    def remember(exportable: Exportable, output: Path, **settings: Any) -> None:
        wrapped = exportable.wrap(exportable.network)
        given.update(vars(exportable), picture_input=wrapped.picture_input, output=output, **settings)

    monkeypatch.setattr(run_module, "export_network", remember)
    return given


def test_a_run_says_all_that_an_export_needs(run: Path, asked: dict[str, Any], tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), drawn_picture((30, 40)))
    export_run(run, tmp_path / "m.onnx", facts={"licence": "CC0-1.0", "name": "mine"}, photos=[photo])
    assert asked["output"] == tmp_path / "m.onnx"
    assert asked["labels"] == ("apple", "brick", "candle")
    assert asked["defaults"] == {"score_threshold": 0.3, "iou_threshold": 0.6, "max_detections": 7}
    assert asked["picture_input"].size == 64
    assert asked["half"] is True
    assert [one.shape for one in asked["photos"]] == [(30, 40, 3)]
    assert asked["facts"] == {
        "task": "detect",
        "name": "mine",
        "weights": "best",
        "data": "All pictures are our own.",
        "use": run_module.USE,
        "metrics": {"epoch": 1, "valid_voc07_map": 0.5},
        "lineage": {"parent": None},
        "licence": "CC0-1.0",
    }


def test_the_score_to_cut_at_may_be_another(run: Path, asked: dict[str, Any], tmp_path: Path) -> None:
    export_run(run, tmp_path / "m.onnx", changes=["answer.score_threshold=0.64"])
    assert asked["defaults"] == {"score_threshold": 0.64, "iou_threshold": 0.6, "max_detections": 7}


def test_pictures_of_which_nobody_said_whose_they_are_have_no_line_in_the_card(
    run: Path, asked: dict[str, Any], tmp_path: Path
) -> None:
    RunFolder(run).write_recipe(RECIPE.replace('data.rights = "All pictures are our own."', ""))
    export_run(run, tmp_path / "m.onnx")
    assert not {"data", "use"} & asked["facts"].keys()


def test_the_rights_of_the_pictures_that_a_parent_saw_bind_too(
    run: Path, asked: dict[str, Any], tmp_path: Path
) -> None:
    folder = RunFolder(run)
    folder.write_recipe(RECIPE.replace('data.rights = "All pictures are our own."', ""))
    folder.write_lineage({"parent": {"file": "parent.onnx", "data": "for research"}})
    export_run(run, tmp_path / "m.onnx")
    assert asked["facts"]["use"] == run_module.USE
    assert asked["facts"]["lineage"]["parent"]["data"] == "for research"


CLASSIFY_RECIPE = """
task = "classify"
name = "colours"
data.rights = "All pictures are our own."
data.classes = ["red", "green", "blue"]
data.train = [{ pictures = "none" }]
picture = { size = [8, 12], channels = 1, mean = [100.0], scale = [0.01], fit = "stretch" }
network = { kind = "mlp", widths = [5] }
"""


@pytest.fixture
def classify_run(tmp_path: Path) -> Path:
    """A run folder of a classifier after one epoch."""
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_recipe(CLASSIFY_RECIPE)
    network = build_classifier(MlpSettings(widths=(5,)), channels=1, size_hw=(8, 12), n_classes=3)
    folder.write_weights("best", network.state_dict(), {})
    folder.write_metrics([{"epoch": 1, "step": 10, "loss": 2.0, "valid_accuracy": 0.5}])
    return folder.path


def test_a_run_of_a_classifier_says_so_too(
    classify_run: Path, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    export_run(classify_run, facts={"licence": "CC0-1.0"})
    assert asked["output"] == Path("classifier.onnx")
    assert asked["labels"] == ("red", "green", "blue")
    assert (asked["picture_input"].size_hw, asked["picture_input"].fit) == ((8, 12), "stretch")
    assert asked["facts"] == {
        "task": "classify",
        "name": "colours",
        "weights": "best",
        "data": "All pictures are our own.",
        "use": run_module.USE,
        "metrics": {"epoch": 1, "valid_accuracy": 0.5},
        "lineage": {},
        "licence": "CC0-1.0",
    }


def test_a_classifier_has_no_score_to_cut_at(classify_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"answer is not a known key"):
        export_run(classify_run, tmp_path / "m.onnx", changes=["answer.score_threshold=0.5"])


def colours_run(run: Path, **data: str) -> Path:
    """The classifier's run, with folders of one picture a class of a single grey."""
    pictures = run.parent / "pictures"
    for place, name in enumerate(("red", "green", "blue")):
        (pictures / name).mkdir(parents=True)
        cv2.imwrite(str(pictures / name / "one.png"), np.full((20, 30, 3), 10 * place, np.uint8))
    sources = "\n".join(f'data.{split} = [{{ pictures = "{pictures}" }}]' for split in data)
    RunFolder(run).write_recipe(CLASSIFY_RECIPE.replace("picture =", f"{sources}\npicture ="))
    return run


@pytest.mark.parametrize("split", ["valid", "test"])
def test_pictures_of_the_run_are_taken_where_none_are_named(
    split: str, classify_run: Path, asked: dict[str, Any], tmp_path: Path
) -> None:
    export_run(colours_run(classify_run, **{split: "here"}), tmp_path / "m.onnx")
    assert sorted(int(photo[0, 0, 0]) for photo in asked["photos"]) == [0, 10, 20]


def test_a_run_whose_pictures_are_gone_is_exported_without(
    classify_run: Path, asked: dict[str, Any], tmp_path: Path
) -> None:
    run = colours_run(classify_run, valid="here")
    for path in (tmp_path / "pictures").rglob("*.png"):
        path.unlink()
    export_run(run, tmp_path / "m.onnx")
    assert asked["photos"] == []


@pytest.mark.parametrize("task", ["segment", 3])
def test_a_task_that_nobody_knows_is_told(task: object, classify_run: Path) -> None:
    RunFolder(classify_run).write_recipe(CLASSIFY_RECIPE.replace('"classify"', repr(task)))
    with pytest.raises(RecipeError, match='write task = "detect"'):
        export_run(classify_run)


def test_weights_that_are_not_there_are_told(run: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"last\.safetensors does not exist; weights in this run: best"):
        export_run(run, tmp_path / "m.onnx", weights="last")


def test_a_photo_that_is_none_is_told_before_the_export(run: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("not a picture")
    with pytest.raises(PictureError):
        export_run(run, tmp_path / "m.onnx", photos=[tmp_path / "photo.jpg"])
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.slow
def test_one_map_pooling_and_boxes_by_class_export(
    make_network: Any, make_input: Any, tmp_path: Path
) -> None:
    """The other half of the choices; the shared file has a pyramid, alignment and one box for all classes."""
    network = make_network(pyramid=False, pooling="pool", box_classes="per-class")
    defaults = {"score_threshold": 0.2, "iou_threshold": 0.5, "max_detections": 20}
    exportable = exportable_detector(network, make_input(), ("apple", "brick", "candle"), defaults)
    report = export_network(exportable, tmp_path / "m.onnx", half=False)
    assert report.rounding is None
    assert "rounding" not in report.contract.card
    assert report.parity.count > 100
    kinds = {node.op_type for node in onnx.load(report.path).graph.node}
    assert "MaxRoiPool" in kinds
    assert "RoiAlign" not in kinds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "pyramid", "pooling", "box_classes"),
    itertools.product(
        ("mobilenet_v2", "efficientnet_lite0", "resnet18", "resnet50"),
        (True, False),
        ("align", "pool"),
        ("agnostic", "per-class"),
    ),
)
def test_every_kind_of_network_exports(
    backbone: str, pyramid: bool, pooling: Any, box_classes: Any, enliven: Any, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    sizes = ((20.0, 32.0), (56.0, 90.0), (144.0, 230.0)) if pyramid else ((32.0, 64.0, 128.0),)
    network = FasterRCNN(
        build_backbone(backbone, width=0.25, strides=(8, 16, 32) if pyramid else (16,)),
        4,
        channels=32,
        pyramid=pyramid,
        proposals=ProposalSettings(sizes),
        roi=RoiSettings(pooling=pooling, box_classes=box_classes, width=32),
    )
    enliven(network)
    exportable = exportable_detector(
        network.eval(),
        PictureInput(160, FasterRCNN.size_divisor, (127.0,) * 3, (1 / 128,) * 3),
        ("a", "b", "c", "d"),
        {"score_threshold": 0.2, "iou_threshold": 0.5, "max_detections": 50},
    )
    report = export_network(exportable, tmp_path / "m.onnx")
    assert report.parity.count > 100


@pytest.mark.slow
def test_a_detector_of_odd_widths_exports(enliven: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    axes = Axes(
        {"stem": 7, "stages.3": 5, "stages.4.1.hidden": 13, "neck": 9, "proposals": 6, "roi_head.0": 3}
    )
    network = FasterRCNN(
        build_backbone("efficientnet_lite0", width=0.25, axes=axes),
        2,
        channels=16,
        pyramid=True,
        proposals=ProposalSettings(),
        roi=RoiSettings(width=16, pooled_size=3),
        axes=axes,
    )
    enliven(network)
    exportable = exportable_detector(
        network.eval(),
        PictureInput(160, FasterRCNN.size_divisor, (127.0,) * 3, (1 / 128,) * 3),
        ("a", "b"),
        {"score_threshold": 0.2, "iou_threshold": 0.5, "max_detections": 50},
    )
    assert export_network(exportable, tmp_path / "m.onnx").parity.count > 100


@pytest.mark.slow
def test_a_run_folder_becomes_a_file_that_verifies(run: Path, tmp_path: Path) -> None:
    from tombola.runtime.load import load
    from tombola.runtime.verify import verify

    report = export_run(run, tmp_path / "m.onnx")
    assert verify(report.path).ok
    assert load(report.path).labels == ("apple", "brick", "candle")
