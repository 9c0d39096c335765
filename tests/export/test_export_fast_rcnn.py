"""The file of a Fast R-CNN, which is given proposals."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

import tombola
from tombola.cli.main import app
from tombola.errors import ModelError
from tombola.export.export import export_network
from tombola.export.parity.question import drawn_picture
from tombola.export.tasks.detect.exportable import exportable_detector
from tombola.runtime.load import inspect_model
from tombola.runtime.pictures.output import save_picture
from tombola.runtime.session.bench import bench
from tombola.runtime.tasks.detect.model import Detector
from tombola.runtime.verify import verify
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.networks.inputs.picture_input import PictureInput
from tombola.train.regions.proposals_file import write_proposals
from tombola.train.regions.sliding_window import sliding_windows

LABELS = ("cat", "dog", "bird")
DEFAULTS = {"score_threshold": 0.5, "iou_threshold": 0.5, "max_detections": 100}


@pytest.fixture(scope="module")
def network(make_network: Callable[..., FasterRCNN]) -> FasterRCNN:
    return make_network(given=True)


@pytest.fixture(scope="module")
def file(
    network: FasterRCNN, make_input: Callable[[], PictureInput], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("fast") / "fast.onnx"
    export_network(exportable_detector(network, make_input(), LABELS, DEFAULTS), path, half=False)
    return path


@pytest.fixture(scope="module")
def detector(file: Path) -> Detector:
    return tombola.load(file, "cpu", task="detect")


def windows(image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
    return sliding_windows(*image_rgb_u8.shape[:2])[::9]


def test_it_says_that_it_is_given_proposals(file: Path) -> None:
    contract, graph = inspect_model(file)
    assert contract.more_inputs == ("proposals",)
    assert [str(spec) for spec in graph.inputs][1] == "proposals float32 [k, 4]"
    assert verify(file, "cpu").ok


@pytest.mark.parametrize("size_hw", [(150, 100), (90, 400), (400, 500)])
def test_it_answers_as_the_network_does(
    detector: Detector,
    network: FasterRCNN,
    make_input: Callable[[], PictureInput],
    size_hw: tuple[int, int],
) -> None:
    """Proposals are meant in pixels of the whole picture, whether it is halved before or not."""
    image = drawn_picture(size_hw)
    proposals = windows(image)
    found = detector(image, proposals_xyxy=proposals, score_threshold=0.2)
    with torch.inference_mode():
        seen, part_hw, factors = make_input()(torch.from_numpy(image))
        thresholds = torch.tensor(0.2), torch.tensor(0.5), torch.tensor(100)
        boxes, scores, _ = network.detect(seen, part_hw, *thresholds, torch.from_numpy(proposals) / factors)
    assert len(found.scores) > 3
    assert found.scores == pytest.approx(scores.numpy(), abs=1e-3)
    assert found.boxes_xyxy == pytest.approx(
        np.clip((boxes * factors).numpy(), 0, [*size_hw[::-1], *size_hw[::-1]]), abs=0.5
    )


def test_without_proposals_the_cure_is_named(detector: Detector) -> None:
    with pytest.raises(ModelError, match=r"data propose PICTURES --out FILE.*--proposals FILE"):
        detector(drawn_picture((50, 60)))


def test_of_no_proposals_nothing_comes(detector: Detector) -> None:
    nothing = np.zeros((0, 4), np.float32)
    assert len(detector(drawn_picture((50, 60)), proposals_xyxy=nothing, score_threshold=0.0).scores) == 0


@pytest.mark.parametrize(
    "wrong", [np.zeros((3, 4)), np.zeros((3, 5), np.float32), np.full((1, 4), np.nan, np.float32)]
)
def test_what_are_no_boxes(detector: Detector, wrong: NDArray[np.float32]) -> None:
    with pytest.raises(ModelError, match=r"proposals: must be finite float32 \[k, 4\]"):
        detector(drawn_picture((50, 60)), proposals_xyxy=wrong)


def test_other_detectors_take_none(shipped_detector: Detector) -> None:
    with pytest.raises(ModelError, match="makes its own proposals"):
        shipped_detector(drawn_picture((50, 60)), proposals_xyxy=np.zeros((0, 4), np.float32))


@pytest.fixture
def shipped_detector() -> Detector:
    shipped = Path(__file__).parents[2] / "runtime" / "models" / "voc-detector.onnx"
    return tombola.load(shipped, "cpu", task="detect")


def test_it_can_be_measured(file: Path) -> None:
    (result,) = bench([file], lambda contract: contract.example_feeds((200, 300)), device="cpu", rounds=1)
    assert result.latency_p50_ms > 0


def test_the_command_feeds_a_file_of_proposals(file: Path, tmp_path: Path) -> None:
    image = drawn_picture((150, 100))
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        save_picture(image, tmp_path / "photos" / name)
    write_proposals(tmp_path / "p.npz", {"photos/a.png": windows(image)})
    ask = ["detect", str(tmp_path / "photos"), "--model", str(file), "--device", "cpu", "--score", "0.2"]
    done = CliRunner().invoke(app, [*ask, "--proposals", str(tmp_path / "p.npz")])
    assert done.exit_code == 1
    assert "b.png" in done.stderr
    assert "has no proposals of it; `tombola data propose` makes them" in done.stderr
    assert "1 done, 1 failed" in done.stdout
    assert CliRunner().invoke(app, [*ask, "--proposals", str(tmp_path / "p.npz"), "--tiles"]).exit_code == 2


def test_it_is_scored_on_pictures_and_their_proposals(file: Path, detector: Detector, tmp_path: Path) -> None:
    image = drawn_picture((400, 500))
    found = detector(image, proposals_xyxy=windows(image), score_threshold=0.2)
    x1, y1, x2, y2 = found.boxes_xyxy[0].tolist()
    box = {"id": 1, "image_id": 1, "category_id": int(found.labels[0]), "bbox": [x1, y1, x2 - x1, y2 - y1]}
    truth = {
        "images": [{"id": 1, "file_name": "a.png", "width": 500, "height": 400}],
        "annotations": [box],
        "categories": [{"id": label, "name": name} for label, name in enumerate(LABELS)],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(truth))
    (tmp_path / "photos").mkdir()
    save_picture(image, tmp_path / "photos" / "a.png")
    write_proposals(tmp_path / "p.npz", {"a.png": windows(image)})
    ask = ["evaluate", str(file), "--annotations", str(tmp_path / "boxes.json"), "--json", "--device", "cpu"]
    ask += ["--pictures", str(tmp_path / "photos")]
    done = CliRunner().invoke(app, [*ask, "--proposals", str(tmp_path / "p.npz")])
    assert done.exit_code == 0, done.stderr
    # Of its class it is the best box.
    assert json.loads(done.stdout)["voc07_map"] == 1
    without = CliRunner().invoke(app, ask)
    assert without.exit_code == 1
    assert "--proposals FILE" in without.stderr
