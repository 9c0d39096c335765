"""A file that looks at clips: its answers beside PyTorch's, and what the commands make of it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

from tombola.cli.main import app
from tombola.errors import ExportError, ModelError
from tombola.export.export import ExportReport, export_network
from tombola.export.parity.clips import drawn_clip
from tombola.export.quantize.pictures import calibration_feeds
from tombola.export.tasks.classify.exportable import exportable_clips
from tombola.runtime.contract.contract import Contract
from tombola.runtime.load import load
from tombola.runtime.tasks.classify.signature import check_probabilities
from tombola.runtime.verify import verify
from tombola.train.networks.classify.clip import ClipNetwork, ClipSettings, build_clip_network
from tombola.train.networks.classify.cnn import CnnSettings
from tombola.train.networks.inputs.classifier_input import ClassifierInput
from tombola.train.studies.moving_shapes import write_clip

LABELS = ("falls", "rises", "stays")
INPUT = ClassifierInput((16, 16), fit="crop", channels=3, mean=(127.0,) * 3, scale=(1 / 64,) * 3)


def network_of(**settings: object) -> ClipNetwork:
    torch.manual_seed(0)
    frame = CnnSettings(blocks=((4,), (8,)), dense=())
    chosen = ClipSettings.model_validate(
        {"kind": "clip", "frame": frame, "features": 12, "units": 10, **settings}
    )
    network = build_clip_network(chosen, channels=3, size_hw=(16, 16), n_classes=len(LABELS)).eval()
    with torch.no_grad():
        network.head.weight *= 4
    return network


def asked(network: ClipNetwork, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits as probabilities, with none of the export's own code."""
    with torch.no_grad():
        seen = torch.cat([INPUT(torch.from_numpy(frame)) for frame in frames])
        return np.asarray(network(seen).softmax(1))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipNetwork, ExportReport]:
    network = network_of(cell="gru_reset_first", bidirectional=True, labels="frame")
    path = tmp_path_factory.mktemp("clips") / "clips.onnx"
    return network, export_network(exportable_clips(network, INPUT, LABELS, 6), path, half=False)


def test_a_file_names_frames_as_its_network(exported: tuple[ClipNetwork, ExportReport]) -> None:
    network, report = exported
    model = load(report.path, "cpu", task="classify")
    assert model.takes_clips
    assert [spec.name for spec in model.contract.signature.inputs] == ["frames"]
    frames = drawn_clip((5, 33, 50))
    answer = model(frames)
    wanted = asked(network, frames)
    assert answer.frame_probabilities is not None
    np.testing.assert_allclose(answer.frame_probabilities, wanted, atol=1e-4)
    np.testing.assert_allclose(answer.probabilities, wanted.mean(0), atol=1e-4)
    assert (answer.size_hw, [one.label for one in answer.frames]) == ((33, 50), wanted.argmax(1).tolist())
    assert len(model(drawn_clip((9, 20, 20))).frames) == 6
    assert [one.size_hw for one in model([frames, frames[:1]])] == [(33, 50)] * 2
    halved = model(np.kron(frames, np.ones((1, 4, 4, 1), np.uint8)))
    np.testing.assert_allclose(halved.probabilities, answer.probabilities, atol=1e-4)
    assert halved.size_hw == (132, 200)
    assert verify(report.path, "cpu").ok
    assert report.parity.comparisons[0].size_hw == (64, 64)


def test_commands_give_it_clips(exported: tuple[ClipNetwork, ExportReport], tmp_path: Path) -> None:
    network, report = exported
    frames = drawn_clip((5, 40, 30))
    write_clip(tmp_path / "clip.gif", frames)
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), frame[..., ::-1])
    (tmp_path / "broken.gif").write_bytes(b"GIF89a")

    def tombola(*arguments: object) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, [*map(str, arguments), "--model", str(report.path), "--device", "cpu"])
        return done.exit_code, done.stdout, done.stderr

    code, told, _ = tombola("classify", tmp_path / "frames", tmp_path / "clip.gif", "--json")
    assert code == 0
    first, second = map(json.loads, told.splitlines())
    assert [one["name"] for one in first["frames"]] == [
        LABELS[row] for row in asked(network, frames).argmax(1)
    ]
    assert [one["frame"] for one in second["frames"]] == list(range(5))
    assert first["size_hw"] == [40, 30]
    code, told, complaint = tombola("classify", tmp_path / "broken.gif", tmp_path / "clip.gif")
    assert (code, "broken.gif" in complaint, "over 5 frames" in told) == (1, True, True)
    assert "0" in told.splitlines()[2]
    assert tombola("classify", tmp_path / "clip.gif", "--save", tmp_path / "out")[0] == 0
    drawn = cv2.imread(str(tmp_path / "out" / "clip.png"))
    assert drawn is not None
    assert drawn.shape[1] / drawn.shape[0] == 5 * 30 / 40  # all five frames beside each other
    assert "a clip cannot come on stdin" in tombola("classify", "-")[2]


def test_what_a_clip_model_cannot(exported: tuple[ClipNetwork, ExportReport], tmp_path: Path) -> None:
    _, report = exported
    with pytest.raises(ExportError, match="int8 needs pictures"):
        calibration_feeds(tmp_path, report.contract)
    with pytest.raises(ModelError, match="input_frames must be a whole number from 1"):
        Contract("classify", LABELS, {}, card={"input_frames": 0})
    row = np.array([0.5, 0.25, 0.25], np.float32)
    with pytest.raises(ModelError, match=r"or \[2, 2\] for frames"):
        check_probabilities({"probabilities": row, "frame_probabilities": np.ones((2, 2)) / 2}, 3)
    with pytest.raises(ModelError, match="a softmax is missing"):
        check_probabilities({"probabilities": row, "frame_probabilities": np.ones((2, 3))}, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "rnn", "layers": 3, "residual": True},
        {"cell": "lstm", "layers": 2, "bidirectional": True},
        {"cell": "gru", "truncate": 3},
        {"cell": "output", "labels": "frame"},
    ],
    ids=lambda settings: settings["cell"],
)
def test_every_cell_exports(settings: dict[str, object], tmp_path: Path) -> None:
    network = network_of(**settings)
    report = export_network(exportable_clips(network, INPUT, LABELS, 6), tmp_path / "m.onnx")
    assert verify(report.path, "cpu").ok
    frames = drawn_clip((6, 21, 17))
    found = load(report.path, "cpu", task="classify")(frames)
    np.testing.assert_allclose(found.probabilities, asked(network, frames).mean(0), atol=3e-3)
