"""Classifiers of clips: data, the network beside itself one clip at a time, a whole training, truncation."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from tombola.errors import DataError, RecipeError
from tombola.runtime.clips.clip import read_clip
from tombola.train.data.labels import classify_formats
from tombola.train.evaluate import Split, evaluate_run
from tombola.train.metrics.classification import ClassificationScores
from tombola.train.networks.axis import members
from tombola.train.networks.classify.clip import ClipNetwork, ClipSettings, build_clip_network
from tombola.train.networks.classify.cnn import CnnSettings
from tombola.train.studies.moving_shapes import MOTIONS, STILL, draw_clip, draw_turning_clip, write_set
from tombola.train.tasks.classify.clip_task import ClipTask
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import load_recipe, open_task
from tombola.train.train import train_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")

TINY = CnnSettings(blocks=((4,),), dense=(), batch_norm=False)
SMALL = ("network.frame.blocks=[[4]]", "network.features=8", "network.units=8", "training.epochs=1")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    list(write_set(folder, 24, 0, frames=False))
    return folder / "clips.toml"


@pytest.fixture(scope="module")
def turning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("turning")
    list(write_set(folder, 24, 0, frames=True))
    return folder / "clips.toml"


def network_of(**settings: object) -> ClipNetwork:
    torch.manual_seed(0)
    chosen = ClipSettings.model_validate(
        {"kind": "clip", "frame": TINY, "features": 6, "units": 5, **settings}
    )
    return build_clip_network(chosen, channels=3, size_hw=(8, 8), n_classes=4).eval()


def test_a_shuffled_set_is_the_same_in_another_order(shapes: Path, tmp_path: Path) -> None:
    list(write_set(tmp_path, 24, 0, shuffled=True))
    names = classify_formats.load(tmp_path / "test", format_name="clips").names
    moved = 0
    for name in names:
        ours, theirs = (read_clip(root / "test" / name, 99) for root in (shapes.parent, tmp_path))
        both = [sorted(frame.tobytes() for frame in clip.frames_rgb_u8) for clip in (ours, theirs)]
        assert len(both[0]) == len(both[1])
        moved += not np.array_equal(ours.frames_rgb_u8, theirs.frames_rgb_u8)
    assert moved == len(names) == 6


def test_a_clip_backwards_is_of_another_class() -> None:
    forth = draw_clip("right", np.random.default_rng(3))
    back = draw_clip("left", np.random.default_rng(3))
    np.testing.assert_array_equal(forth, back[::-1])
    frames, labels = draw_turning_clip(np.random.default_rng(0))
    assert (len(frames), labels[0]) == (len(labels), STILL)
    assert 2 <= len(set(labels[1:])) <= 2


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "lstm", "layers": 2, "bidirectional": True, "residual": True},
        {"cell": "gru_reset_first", "bidirectional": True, "labels": "frame"},
        {"cell": "rnn", "truncate": 2},
        {"cell": "output", "labels": "frame"},
    ],
    ids=lambda settings: settings["cell"],
)
def test_clips_together_are_clips_one_by_one(settings: dict[str, object]) -> None:
    network = network_of(**settings)
    frames, lengths = torch.randn(9, 3, 8, 8), [4, 1, 4]
    together = network(frames, torch.tensor(lengths))
    torch.testing.assert_close(together, torch.cat([network(own) for own in frames.split(lengths)]))
    assert together.shape == (9 if network.of_frames else 3, 4)
    assert any(axis.name == "recurrence.forth" for axis in members(network))


def test_the_order_of_frames_counts_and_a_reader_from_both_ends_sees_the_start_last() -> None:
    network = network_of(bidirectional=True)
    frames = torch.randn(5, 3, 8, 8)
    assert not torch.allclose(network(frames), network(frames.flip(0)))
    recurrence = network.recurrence
    x = torch.randn(1, 5, 6)
    changed = x.clone()
    changed[:, -1] += 1
    before, after = recurrence(x), recurrence(changed)
    torch.testing.assert_close(before[:, :-1, :5], after[:, :-1, :5])
    assert not torch.allclose(before[:, 0, 5:], after[:, 0, 5:])


def test_a_cell_that_is_fed_its_answer_is_taught_by_the_right_ones() -> None:
    """With answers so sure that they are one-hot, being taught by them changes nothing; by others it does."""
    network = network_of(cell="output", labels="frame")
    with torch.no_grad():
        network.head.weight *= 1e4
    frames = torch.randn(6, 3, 8, 8)
    said = network(frames)
    own = said.argmax(1)
    torch.testing.assert_close(network(frames, None, own), said)
    assert not torch.allclose(network(frames, None, (own + 1) % 4)[1:], said[1:])
    torch.testing.assert_close(network(frames, None, (own + 1) % 4)[0], said[0])
    with pytest.raises(ValueError, match='it needs labels = "frame"'):
        ClipSettings(kind="clip", cell="output")


def test_a_table_names_frames(turning: Path) -> None:
    data = classify_formats.load(turning.parent / "train", turning.parent / "train.csv", None, "clips")
    assert data.classes == tuple(sorted({STILL, *MOTIONS}))
    with (turning.parent / "train.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["clip"] == data.names[3]]
    steps = data.take([3]).steps
    assert steps is not None
    starts = [int(row["frame"]) for row in rows]
    assert [data.classes[label] for label in steps[0].at(np.array(starts))] == [row["label"] for row in rows]
    assert steps[0].at(np.array([starts[1] - 1]))[0] == steps[0].labels[0]
    assert data.labels[3] == steps[0].labels[-1]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a.gif,0,up\ngone.gif,0,up", "missing picture: .*row 2: gone.gif is not in"),
        ("../train/a.gif,0,up", "missing picture"),
        ("a.gif,1,up", "the frames of a.gif begin at 1; begin each clip with frame 0"),
        ("a.gif,0,up\na.gif,5,down\na.gif,3,up", "the frames of a.gif begin at 0, 5, 3"),
        ("a.gif,first,up", "is not clip, frame and label"),
        ("", "it holds not one labelled picture"),
    ],
)
def test_faults_of_a_table(table: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.gif").write_bytes(b"GIF89a")
    (tmp_path / "labels.csv").write_text(f"clip,frame,label\n{table}\n")
    with pytest.raises(DataError, match=message.replace("row 2", "row 3")):
        classify_formats.load(tmp_path / "clips", tmp_path / "labels.csv", None, "clips")


def test_clips_belong_to_networks_of_clips(shapes: Path) -> None:
    with pytest.raises(RecipeError, match=r'network.kind = "clip" cannot learn from data.format = "folder"'):
        load_recipe(shapes, ["data.format=folder"])
    with pytest.raises(DataError, match="is not a folder of clips"):
        open_task(shapes, ["data.train=[{pictures='gone'}]"])


def test_a_whole_training_of_clips(shapes: Path, tmp_path: Path) -> None:
    run = train_recipe(shapes, tmp_path / "run", overrides=SMALL, device="cpu", quiet=True)
    scores = evaluate_run(run.path, Split(run.path, "test"), device="cpu")
    assert isinstance(scores, ClassificationScores)
    assert (scores.pictures, scores.confusions.sum()) == (6, 6)
    task = open_task(shapes, SMALL)
    assert isinstance(task, ClipTask)
    plain, changed = task.shown(3)
    assert plain[0].image_rgb_u8.shape == (32, 4 * 32, 3) == changed[0].image_rgb_u8.shape


def test_a_whole_training_of_frames(turning: Path, tmp_path: Path) -> None:
    small = (*SMALL, "network.cell=output")
    run = train_recipe(turning, tmp_path / "run", overrides=small, device="cpu", quiet=True)
    scores = evaluate_run(run.path, Split(run.path, "test"), device="cpu")
    assert isinstance(scores, ClassificationScores)
    assert scores.pictures == 6
    assert scores.confusions.sum() > 6 * 7
    task = open_task(turning, small)
    assert isinstance(task, ClipTask)
    assert task.answer_widths(task.build_network()) == (7, 7)
    assert task.unused_classes() == []  # though no clip ends with a still frame
    batch = task.collate([task.examples()[request] for request in task.plan_epoch(0)[0]])
    assert len(batch.labels) == len(batch.frames_rgb_u8) == batch.lengths.sum()
    losses = task.losses(task.build_network().train(), batch, Moment(0, 0, 1))
    assert losses["cross_entropy"].item() == pytest.approx(np.log(7), rel=0.3)
