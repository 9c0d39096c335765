"""The whole training side on the toy data set: batches, training, interruption, two processes, evaluation."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tombola.errors import DataError, DeviceError, RecipeError, TrainingError
from tombola.runtime.pictures.picture import read_picture
from tombola.train.data.boxes.detection_set import DetectionRecord, DetectionSet
from tombola.train.data.pictures.pictures import FolderPictures
from tombola.train.evaluate import evaluate_run
from tombola.train.loop.loader import load_batches
from tombola.train.metrics.matching import Prediction
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.detect.batches import Request, collate, plan_epoch
from tombola.train.tasks.detect.scoring import DetectorScores, score_detector
from tombola.train.tasks.detect.task import DetectTask, answers, load_split, truths
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import load_network, load_recipe
from tombola.train.train import train_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")

RUN = """
import sys
from pathlib import Path
from tombola.train.tasks.moment import Moment
from tombola.train.train import train_recipe
train_recipe(Path(sys.argv[1]), Path(sys.argv[2]), overrides=sys.argv[3:])
"""

START = Moment(0, 0, 1)


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def short_run(make_toy_recipe: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch, to be looked at only."""
    folder = tmp_path_factory.mktemp("short")
    recipe = make_toy_recipe(folder)
    train_recipe(recipe, folder / "run", overrides=["training.epochs=1"], quiet=True, device="cpu")
    return folder / "run"


def assert_same_weights(one: Path, other: Path, *, tolerance: float = 0.0) -> None:
    mine, others = RunFolder(one).read_weights("last"), RunFolder(other).read_weights("last")
    assert mine.keys() == others.keys()
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, others[name], atol=tolerance, rtol=tolerance, msg=name)


def test_batches_depend_on_seed_and_epoch_alone(toy_recipe: Path) -> None:
    task = DetectTask(load_recipe(toy_recipe))
    plan = task.plan_epoch(0)
    assert [len(batch) for batch in plan] == [4, 4]
    indices = [request.index for batch in plan for request in batch]
    assert sorted(indices) == list(range(8))
    assert task.plan_epoch(0) == plan
    assert task.plan_epoch(1) != plan
    assert DetectTask(load_recipe(toy_recipe, ["seed=6"])).plan_epoch(0) != plan


def test_boxes_follow_their_pixels_onto_the_canvas(toy_recipe: Path) -> None:
    # Everything random off: the 48×64 picture lands on a 96×128 canvas, doubled.
    off = [
        f"augment.{name}=0"
        for name in ("flip", "crop", "stretch", "brightness", "contrast", "saturation", "hue")
    ]
    task = DetectTask(load_recipe(toy_recipe, [*off, "augment.scale=[1.0, 1.0]"]))
    image, target = task.examples()[Request(0, (96, 128), 1, True)]
    assert image.shape == (96, 128, 3)
    torch.testing.assert_close(target.boxes_xyxy, torch.from_numpy(task.train_data.records[0].boxes_xyxy * 2))
    x1, y1, x2, y2 = (int(v) for v in target.boxes_xyxy[1])
    assert image[(y1 + y2) // 2, (x1 + x2) // 2].tolist() == [30, 60, 220]


def test_mosaic_brings_in_other_pictures(toy_recipe: Path) -> None:
    task = DetectTask(load_recipe(toy_recipe, ["augment.mosaic=1.0", "augment.crop=0"]))
    batch = collate([task.examples()[Request(i, (64, 64), i, True)] for i in range(4)])
    assert batch.images_u8.shape == (4, 3, 64, 64)
    assert max(len(target.boxes_xyxy) for target in batch.targets) > 2


def test_mixup_lays_one_other_picture_over_the_own(toy_recipe: Path) -> None:
    off = [
        f"augment.{name}=0" for name in ("flip", "crop", "stretch", "brightness", "contrast", "saturation")
    ]
    task = DetectTask(
        load_recipe(toy_recipe, [*off, "augment.hue=0", "augment.scale=[1, 1]", "augment.mixup=1"])
    )
    image, target = task.examples()[Request(0, (48, 64), 1, True)]
    own = task.train_data.records[0]
    assert len(target.boxes_xyxy) == 4  # every picture has two
    np.testing.assert_allclose(target.boxes_xyxy[:2], own.boxes_xyxy)
    others = [task.train_data.read(index).astype(float) for index in range(8)]
    # The picture is w·own + (1 - w)·other for one of the others and one w.
    mine, errors = task.train_data.read(0).astype(float), []
    for other in others[1:]:
        apart = mine - other
        weight = ((image - other) * apart).sum() / (apart**2).sum()
        errors.append(np.abs(other + weight * apart - image).max() if 0.3 < weight < 0.7 else 255)
    assert min(errors) < 1


def test_the_last_epochs_join_no_pictures(toy_recipe: Path) -> None:
    task = DetectTask(load_recipe(toy_recipe, ["augment.mosaic=1", "augment.mixup=1", "training.epochs=10"]))
    joined = [
        {request.joined for batch in task.plan_epoch(epoch) for request in batch} for epoch in range(10)
    ]
    assert joined == [{True}] * 9 + [{False}]
    alone = Request(0, (64, 64), 1, False)
    plain = DetectTask(load_recipe(toy_recipe))
    np.testing.assert_array_equal(task.examples()[alone][0], plain.examples()[alone][0])


def test_a_source_leaves_out_the_pictures_that_it_names(toy_recipe: Path) -> None:
    source = "data.train=[{{annotations='boxes.json', pictures='pictures', folds=['!0/3'], without={}}}]"
    data = load_split(load_recipe(toy_recipe, [source.format(["001.png", "004.png"])]), "train")
    assert [record.file_name for record in data.records][:3] == ["002.png", "005.png", "007.png"]
    with pytest.raises(DataError, match=r"no picture '000\.png' in this set and its folds"):
        load_split(load_recipe(toy_recipe, [source.format(["000.png"])]), "train")


def test_a_trained_run_is_read_back_and_scored(toy_recipe: Path, tmp_path: Path) -> None:
    run = train_recipe(toy_recipe, tmp_path / "run", quiet=True, device="cpu")
    network, recipe = load_network(run.path)
    assert recipe.data.classes == ("red", "blue")
    assert not network.training
    scores = evaluate_run(run.path, device="cpu")
    assert isinstance(scores, DetectorScores)
    assert scores.pictures == 4
    assert 0 <= scores.voc07.mean_average_precision <= 1
    assert run.read_lineage() == {"parent": None, "early_steps": [1]}
    assert len(run.read_metrics()) == 2


def test_a_perfect_detector_scores_one(toy_recipe: Path) -> None:
    data = load_split(load_recipe(toy_recipe), "test")
    answers = [Prediction(t.boxes_xyxy, np.ones(len(t.labels)), t.labels) for t in truths(data)]
    scores = score_detector(answers, data)
    assert scores.voc07.mean_average_precision == pytest.approx(1.0)
    assert scores.coco.mean_average_precision == pytest.approx(1.0)


def test_killed_at_any_moment_and_resumed_equals_uninterrupted(toy_recipe: Path, tmp_path: Path) -> None:
    # A checkpoint after every step; the kill comes after the second, in the middle of whatever follows.
    often = ["training.checkpoint_minutes=1e-9", "training.epochs=3"]
    train_recipe(toy_recipe, tmp_path / "whole", overrides=often, quiet=True, device="cpu")
    killed = tmp_path / "killed"
    arguments = [sys.executable, "-c", RUN, str(toy_recipe), str(killed)]
    process = subprocess.Popen([*arguments, *often], env=environment(), stderr=subprocess.DEVNULL)
    checkpoint = killed / "checkpoint.safetensors"
    seen: set[int] = set()
    deadline = time.monotonic() + 120
    while len(seen) < 2 and process.poll() is None and time.monotonic() < deadline:
        if checkpoint.exists():
            seen.add(checkpoint.stat().st_mtime_ns)
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the training ended before it could be killed"
    train_recipe(toy_recipe, killed, overrides=often, resume=True, quiet=True, device="cpu")
    assert_same_weights(tmp_path / "whole", killed)
    whole, again = (RunFolder(path).read_metrics() for path in (tmp_path / "whole", killed))
    assert whole == again


@pytest.mark.slow
def test_two_processes_give_the_model_of_one(toy_recipe: Path, tmp_path: Path) -> None:
    # SGD: Adam's first steps divide rounding noise by itself.
    plain = ["training.optimizer='sgd'", "training.learning_rate=0.01", "training.epochs=1"]
    train_recipe(toy_recipe, tmp_path / "one", overrides=plain, quiet=True, device="cpu")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    changes = [part for change in plain for part in ("--set", change)]
    arguments = ["-m", "tombola.cli", "train", str(toy_recipe), "--out", str(tmp_path / "two"), *changes]
    done = subprocess.run(
        [*torchrun, *arguments],
        env=environment() | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_weights(tmp_path / "one", tmp_path / "two", tolerance=1e-5)


def test_resuming_with_another_recipe_is_refused(toy_recipe: Path, short_run: Path) -> None:
    overrides = ["training.epochs=1", "training.batch_size=2"]
    with pytest.raises(RecipeError, match=r"batch_size.*--resume"):
        train_recipe(toy_recipe, short_run, overrides=overrides, resume=True, device="cpu")


def test_a_recipe_with_the_same_lines_in_another_order_is_another(toy_recipe: Path, short_run: Path) -> None:
    for change in ("data.classes=['blue', 'red']", "proposals.anchor_sizes_px=[[30.0], [20.0], [12.0]]"):
        overrides = ["training.epochs=1", change]
        with pytest.raises(RecipeError, match=change.partition("=")[0]):
            train_recipe(toy_recipe, short_run, overrides=overrides, resume=True, device="cpu")


def test_bf16_trains(toy_recipe: Path, tmp_path: Path) -> None:
    changes = ["training.precision='bf16-mixed'", "training.epochs=1"]
    run = train_recipe(toy_recipe, tmp_path / "run", overrides=changes, quiet=True, device="cpu")
    assert 0 < run.read_metrics()[0]["loss"] < 20


def test_a_picture_that_vanishes_is_named_not_traced(
    toy_data: Path, toy_recipe: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(toy_data, copy)
    task = DetectTask(load_recipe(toy_recipe, [f"data.root={str(copy)!r}"]))
    (copy / "pictures" / "004.png").unlink()
    with pytest.raises(DataError, match=r"004\.png") as caught:
        list(load_batches(task, task.plan_epoch(0), workers=1))
    assert "Traceback" not in str(caught.value)


def test_every_picture_gets_its_turn() -> None:
    def record(index: int, size_hw: tuple[int, int]) -> DetectionRecord:
        nothing = np.zeros(0, np.int64)
        return DetectionRecord(f"{index}", np.zeros((0, 4), np.float32), nothing, nothing > 0, size_hw)

    records = [record(i, (64, 48)) for i in range(18)] + [record(i, (48, 64)) for i in range(18, 22)]
    seen: set[int] = set()
    for epoch in range(20):
        plan = plan_epoch(records, batch_size=8, sizes=[64], divisor=32, seed=1, epoch=epoch, joined=True)
        assert [len(batch) for batch in plan] == [8, 8]
        seen |= {request.index for batch in plan for request in batch}
    assert seen == set(range(22))


def test_several_processes_refuse_what_depends_on_their_number(
    toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for change in ("network.batch_norm='trained'", "network.batch_norm='auto'", "roi.dropout=0.1"):
        with pytest.raises(RecipeError, match=change.partition("=")[0]):
            train_recipe(toy_recipe, tmp_path / "run", overrides=[change], device="cpu")


def test_frozen_stages_keep_their_statistics(toy_recipe: Path) -> None:
    task = DetectTask(
        load_recipe(toy_recipe, ["network.batch_norm='trained'", "start.freeze=backbone.stages.1"])
    )
    network = task.build_network()
    task.prepare(network, START)
    training = [stage.training for stage in network.backbone.stages]
    assert training[:3] == [False, False, True]
    with pytest.raises(RecipeError, match=r"start\.freeze = 'backbone\.stages\.99' is not a layer"):
        DetectTask(load_recipe(toy_recipe, ["start.freeze=backbone.stages.99"])).build_network()


@torch.inference_mode()
def test_a_run_answers_a_large_jpeg_as_its_file_would(short_run: Path, tmp_path: Path) -> None:
    """On what the runtime reads of it; the boxes in pixels of the whole picture."""
    cv2.imwrite(str(tmp_path / "a.jpg"), np.random.default_rng(3).integers(0, 256, (192, 256, 3), np.uint8))
    nothing = np.zeros(0)
    record = DetectionRecord(
        "a.jpg", np.zeros((0, 4), np.float32), nothing.astype(int), nothing == 1, (192, 256)
    )
    network, recipe = load_network(short_run)
    (found,) = answers(network, recipe, DetectionSet(("red", "blue"), (record,), FolderPictures(tmp_path)))
    halved = read_picture(tmp_path / "a.jpg", recipe.picture.as_input().shrink)
    assert halved.halvings == 2
    cv2.imwrite(str(tmp_path / "a.png"), halved.image_rgb_u8[..., ::-1])
    small = replace(record, file_name="a.png", size_hw=(48, 64))
    (of_halved,) = answers(network, recipe, DetectionSet(("red", "blue"), (small,), FolderPictures(tmp_path)))
    assert len(found.scores) > 0
    np.testing.assert_array_equal(found.boxes_xyxy, of_halved.boxes_xyxy * 4)
    np.testing.assert_array_equal(found.scores, of_halved.scores)


def test_weights_of_another_recipe_are_refused(short_run: Path, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(short_run, tmp_path / "run")))
    run.recipe_path.write_text(run.recipe_path.read_text().replace("channels = 16", "channels = 24"))
    with pytest.raises(TrainingError, match=r"best\.safetensors does not fit"):
        load_network(run.path)


def test_wrong_input_is_named(toy_recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="auto, cpu or cuda"):
        train_recipe(toy_recipe, tmp_path / "run", device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="sees no CUDA device"):
            train_recipe(toy_recipe, tmp_path / "run", device="cuda")
    with pytest.raises(DataError, match=r"none\.json"):
        train_recipe(toy_recipe, tmp_path / "run", overrides=["data.test=[]", "data.valid=[]",
            'data.train=[{annotations="none.json", pictures="pictures"}]'])  # fmt: skip
    with pytest.raises(RecipeError, match=r"no data\.valid"):
        load_split(load_recipe(toy_recipe, ["data.valid=[]"]), "valid")
    with pytest.raises(TrainingError, match="more than there are"):
        train_recipe(toy_recipe, tmp_path / "run", overrides=["training.batch_size=99"], device="cpu")
    with pytest.raises(RecipeError, match=r"recipe\.toml does not exist"):
        load_network(tmp_path)
    assert not (tmp_path / "run").exists()
