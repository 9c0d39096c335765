"""Captions of clips: the drawn set, its data, the network that reads frames, a whole training."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tombola.cli.data.look import captions as look_at_captions
from tombola.cli.data.look import captions_of_recipe
from tombola.errors import DataError, RecipeError
from tombola.runtime.clips.clip import read_clip, spread
from tombola.train.data.captions import formats
from tombola.train.evaluate import Split, evaluate_run
from tombola.train.metrics.captions import CaptionScores
from tombola.train.networks.axis import members, widths
from tombola.train.networks.caption.captioner import Captioner, CaptionerSettings, build_captioner
from tombola.train.studies.told_shapes import COLOURS_RGB, draw_told_clip, write_told_set
from tombola.train.tasks.caption.task import CaptionTask, maps_of, see, source_of
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import load_recipe, open_task
from tombola.train.train import train_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")

SMALL = (
    "picture.frames=5", "network.width=0.25", "network.features=6", "network.clip.units=5",
    "network.clip.channels=2", "network.decoder.units=8", "network.decoder.embedding=6",
    "network.decoder.attention_units=4", "training.epochs=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    list(write_told_set(folder, 24, 0))
    return folder / "captions.toml"


def network_of(**clip: object) -> Captioner:
    torch.manual_seed(0)
    settings = CaptionerSettings.model_validate(
        {
            "backbone": "resnet20",
            "width": 0.25,
            "features": 6,
            "clip": {"channels": 2, "units": 5, **clip},
            "decoder": {"units": 7, "embedding": 6, "attention_units": 4},
        }
    )
    return build_captioner(settings, 9, size_hw=(12, 20)).eval()


def test_a_caption_says_what_is_drawn() -> None:
    """Place and area of the colour in the first, the middle and the last frame, against the words."""
    rng = np.random.default_rng(5)
    for _ in range(30):
        frames, caption = draw_told_clip(rng)
        words = caption.split()
        is_shape = (frames == COLOURS_RGB[words[1]]).all(-1)
        seen = []
        for frame in is_shape[[0, len(frames) // 2, -1]]:
            rows, columns = np.nonzero(frame)
            seen.append((columns.mean(), rows.mean(), np.sqrt(len(rows))))
        first, then = (motion.split()[-1] for motion in caption.split(words[2])[1].split(" then "))
        changes = {"right": 0, "left": 0, "down": 1, "up": 1, "grows": 2, "shrinks": 2}
        assert changes[first] != changes[then]
        for before, after, motion in ((seen[0], seen[1], first), (seen[1], seen[2], then)):
            moved = after[changes[motion]] - before[changes[motion]]
            assert (moved > 0) == (motion in ("right", "down", "grows")), caption


def test_places_that_are_spread() -> None:
    assert spread(12, 4) == [1, 4, 7, 10]
    assert spread(3, 3) == [0, 1, 2]
    assert spread(3, 8) == [0, 0, 0, 1, 1, 2, 2, 2]
    assert spread(1, 2) == [0, 0]


def test_clips_together_are_clips_one_by_one() -> None:
    network = network_of(layers=2, residual=True)
    maps, tokens = torch.randn(2, 4, 16, 3, 5), torch.randint(0, 9, (2, 3, 6))
    logits, weights = network(maps, tokens)
    assert (logits.shape, weights.shape) == ((2, 3, 6, 9), (2, 3, 6, 4))  # a weight a frame
    for place in range(2):
        alone, _ = network(maps[place][None], tokens[place][None])
        torch.testing.assert_close(alone[0], logits[place])
    assert not torch.allclose(network(maps.flip(1), tokens)[0], logits)  # the order counts
    frames = torch.randn(2, 4, 3, 12, 20)
    found = maps_of(network, frames)
    assert found.shape == maps.shape  # of the sides that the reader was built for
    torch.testing.assert_close(found[1, 2], network.encoder(frames[1, 2][None])[0], rtol=1e-4, atol=1e-4)


def test_its_widths_build_it_again() -> None:
    network = network_of()
    assert {axis.name for axis in members(network)} >= {
        "clip.channels",
        "recurrence.forth",
        "recurrence.back",
    }
    narrow = {**widths(network), "clip.channels": 1, "recurrence.back": 3}
    settings = CaptionerSettings.model_validate(
        {
            "backbone": "resnet20",
            "width": 0.25,
            "features": 6,
            "clip": {"units": 5},
            "decoder": {"units": 7, "embedding": 6, "attention_units": 4},
        }
    )
    smaller = build_captioner(settings, 9, narrow, size_hw=(12, 20))
    assert smaller.clip is not None
    assert widths(smaller) == narrow
    assert smaller.features.in_features == 5 + 3


def test_frames_and_reader_belong_together(told: Path) -> None:
    with pytest.raises(RecipeError, match=r"\[network.clip\] needs more: picture.frames = 8 makes clips"):
        load_recipe(told, ["picture.frames=0"])
    text = told.read_text().replace("[network.clip]\nchannels = 8\nunits = 64\n", "")
    alone = told.with_name("alone.toml")
    alone.write_text(text)
    with pytest.raises(RecipeError, match=r"picture.frames = 8 needs more: \[network.clip\], which may be"):
        load_recipe(alone)


def test_a_whole_training(told: Path, tmp_path: Path) -> None:
    run = train_recipe(told, tmp_path / "run", overrides=SMALL, device="cpu", quiet=True)
    scores = evaluate_run(run.path, Split(run.path, "test"), device="cpu")
    assert isinstance(scores, CaptionScores)
    assert scores.pictures == 6
    assert scores.as_told.dtype == bool


def test_what_a_batch_holds(told: Path) -> None:
    frozen = [*SMALL, 'start.freeze="encoder"', "data.looks=1"]
    task = open_task(told, frozen)
    assert isinstance(task, CaptionTask)
    requests, examples = task.plan_epoch(0)[0], task.examples()
    batch = task.collate([examples[one] for one in requests])
    assert batch.images_rgb_u8.shape == (len(requests), 5, 3, 32, 32)
    data, index = task.train_data, requests[1].index
    eager = see(source_of(data, index, task.recipe.picture), task.picture_input, 5)
    torch.testing.assert_close(task.picture_input.normalise(batch.images_rgb_u8[1]), eager[0])
    wanted = read_clip(data.clip_path(index), 5).frames_rgb_u8
    np.testing.assert_array_equal(batch.images_rgb_u8[1].permute(0, 2, 3, 1).numpy(), wanted)
    network = task.build_network()
    task.prepare(network, Moment(0, 0, 10))
    maps = task._maps(network, batch)
    assert maps.shape == (len(requests), 5, 16, 8, 8)
    again = task.collate([examples[one] for one in requests])
    assert again.images_rgb_u8.shape == (0, 5, 3, 32, 32)  # its maps are known
    torch.testing.assert_close(task._maps(network, again), maps, rtol=1e-2, atol=1e-2)
    plain, changed = task.shown(2)
    assert plain[0].image_rgb_u8.shape == (32, 4 * 32, 3) == changed[0].image_rgb_u8.shape
    assert plain[0].words == " ".join(data.records[plain_index(task)].captions[0])


def plain_index(task: CaptionTask) -> int:
    """The first training clip that is shown."""
    return min(request.index for requests in task.plan_epoch(0) for request in requests)


def test_folders_of_frames_and_faults(told: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    (clips / "walk").mkdir(parents=True)
    for number in range(3):
        cv2.imwrite(
            str(clips / "walk" / f"{number}.png"), np.full((20 + number, 30, 3), 40 * number, np.uint8)
        )
    (clips / "cut.webp").write_bytes((told.parent / "train" / "00000.webp").read_bytes()[:200])
    table = tmp_path / "clips.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("walk", "It walks, slowly."), ("cut.webp", "a cut one"), ("gone.gif", "a gone one")]
        )
    rows, findings = look_at_captions(table, clips, None, None)
    assert ("clips", "3") in rows
    assert {(one.where, one.kind) for one in findings} == {
        ("cut.webp", "unreadable picture"),
        ("gone.gif", "missing picture"),
    }
    with pytest.raises(DataError, match=r"gone\.gif"):
        formats.load(table, clips)
    table.write_text("walk,it walks\n")
    data = formats.load(table, clips)
    assert data.clip(0, 2).frames_rgb_u8.shape == (2, 20, 30, 3)  # of the first frame's size
    _, findings = captions_of_recipe(load_recipe(told))
    assert findings == []
