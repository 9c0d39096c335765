from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.train.data.boxes.detection_set import DetectionRecord, DetectionSet
from tombola.train.data.pictures.pictures import FolderPictures
from tombola.train.metrics.average_precision import voc07_map
from tombola.train.metrics.iou import box_iou
from tombola.train.metrics.matching import Truth
from tombola.train.regions import propose as propose_module
from tombola.train.regions.proposals_file import read_proposals, with_proposals, write_proposals
from tombola.train.regions.propose import propose
from tombola.train.regions.rcnn import CROP_PX, RegionExample, train_rcnn, warp
from tombola.train.regions.recall import proposal_recall
from tombola.train.regions.selective_search import grown, selective_search
from tombola.train.regions.sliding_window import count_windows, sliding_windows


def two_colours() -> NDArray[np.uint8]:
    """A red square of 40 px on green, with a little noise."""
    picture = np.zeros((90, 120, 3), np.int64)
    picture[..., 1] = 160
    picture[30:70, 50:90] = [200, 30, 30]
    picture += np.random.default_rng(0).integers(-6, 7, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


def test_a_thing_of_its_own_colour_is_proposed() -> None:
    boxes = selective_search(two_colours())
    best = box_iou(boxes, np.array([[50, 30, 90, 70]], np.float32)).max()
    assert best > 0.9
    assert box_iou(boxes, np.array([[0, 0, 120, 90]], np.float32)).max() == 1.0


def test_proposals_repeat_and_are_distinct() -> None:
    boxes = selective_search(two_colours(), most=7)
    assert boxes.dtype == np.float32
    assert len(boxes) <= 7
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    assert np.array_equal(boxes, selective_search(two_colours(), most=7))
    assert (boxes[:, 2:] - boxes[:, :2] >= 4).all()


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 50), (7, 5), (33, 64)])
def test_pictures_of_any_size(size_hw: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    boxes = selective_search(picture)
    assert boxes.shape[1] == 4
    assert (boxes >= 0).all()
    assert (boxes[:, 2:] <= [size_hw[1], size_hw[0]]).all()


def test_the_most_alike_are_joined_first() -> None:
    # Four columns; the two in the middle are alike, the outer ones each of another colour.
    segments = np.repeat(np.arange(4), 3)[None].repeat(6, axis=0)
    colour = np.array([[1, 0, 0], [0, 1, 0], [0, 0.9, 0.1], [0, 0, 1]], np.float32)
    texture = np.ones((4, 1), np.float32)
    regions = grown(segments, colour, texture)
    assert len(regions.size) == 7
    assert regions.boxes[4].tolist() == [3, 0, 9, 6]
    assert regions.size[4] == 36
    assert regions.colour[4] == pytest.approx([0, 0.95, 0.05])
    assert regions.boxes[6].tolist() == [0, 0, 12, 6]
    # Colour 0.9, texture 1, size 1 - 36/72, fill 1 - (36 - 36)/72.
    assert regions.likeness(1, 2) == pytest.approx(0.9 + 1 + 0.5 + 1)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_a_hierarchy_ends_in_one_region(seed: int) -> None:
    rng = np.random.default_rng(seed)
    _, flat = np.unique(np.kron(rng.integers(0, 4, (4, 5)), np.ones((3, 3), int)), return_inverse=True)
    segments = flat.reshape(12, 15)
    count = int(segments.max()) + 1
    colour = rng.random((count, 5)).astype(np.float32)
    regions = grown(segments, colour / colour.sum(1, keepdims=True), np.ones((count, 1), np.float32))
    assert len(regions.size) == 2 * count - 1
    assert regions.size[-1] == segments.size
    assert regions.boxes[-1].tolist() == [0, 0, 15, 12]
    assert regions.colour.sum(axis=1) == pytest.approx(np.ones(len(regions.size)), abs=1e-4)


@given(st.integers(1, 50), st.integers(1, 50))
def test_the_number_of_windows(length: int, window: int) -> None:
    assert count_windows(length, window) == sum(start + window <= length for start in range(length))


def test_windows_cover_the_picture() -> None:
    boxes = sliding_windows(60, 100)
    assert (boxes[:, 0].min(), boxes[:, 1].min(), boxes[:, 2].max(), boxes[:, 3].max()) == (0, 0, 100, 60)
    # Any square of a size that is there is met by half at least.
    assert box_iou(boxes, np.array([[13, 7, 37, 31], [60, 30, 84, 54]], np.float32)).max(axis=0).min() > 0.5


def test_recall_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
    truth = Truth(
        np.array([[0, 0, 10, 10], [20, 20, 30, 36], [50, 50, 60, 60]], np.float32),
        np.zeros(3, np.int64),
        np.array([False, False, True]),
    )
    nothing = Truth(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    assert proposal_recall([boxes, boxes], [truth, nothing], 0.5) == 1.0
    assert proposal_recall([boxes, boxes], [truth, nothing], 0.7) == 0.5  # the second has IoU 100/160
    assert np.isnan(proposal_recall([boxes], [nothing], 0.5))


def test_proposals_survive_their_file(tmp_path: Path) -> None:
    boxes = {"a/b.jpg": np.array([[0, 0, 3, 4]], np.float32), "c.npy": np.zeros((0, 4), np.float32)}
    write_proposals(tmp_path / "p.npz", boxes)
    again = read_proposals(tmp_path / "p.npz")
    assert again.keys() == boxes.keys()
    assert all(np.array_equal(again[name], boxes[name]) for name in boxes)
    assert list(tmp_path.iterdir()) == [tmp_path / "p.npz"]


def test_files_that_hold_no_proposals(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    with pytest.raises(DataError, match="cannot be read"):
        read_proposals(path)
    path.write_bytes(b"PK\x03\x04 nothing more")
    with pytest.raises(DataError, match="cannot be read"):
        read_proposals(path)
    np.savez(path, **{"picture:a": np.array(["x"], dtype=object)}, allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        read_proposals(path)
    write_proposals(path, {"a.jpg": np.array([[5, 0, 3, 4]], np.float32)})
    with pytest.raises(DataError, match=r"the proposals of a.jpg must be finite float32 \[n, 4\]"):
        read_proposals(path)


def scene(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    """A red and a blue rectangle on green."""
    picture = np.full((80, 120, 3), [30, 150, 40], np.int64)
    boxes = []
    for left, colour in ((0, [200, 30, 30]), (60, [30, 40, 200])):
        x, y = left + int(rng.integers(4, 20)), int(rng.integers(4, 30))
        w, h = rng.integers(20, 36, 2).tolist()
        picture[y : y + h, x : x + w] = colour
        boxes.append([x, y, x + w, y + h])
    picture += rng.integers(-5, 6, picture.shape)
    return picture.clip(0, 255).astype(np.uint8), np.array(boxes, np.float32), np.array([0, 1])


def colours(crops_rgb_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A 4 × 4 thumbnail of each crop: enough to see a colour and where it ends."""
    size = CROP_PX // 4
    cells = crops_rgb_u8.reshape(-1, 4, size, 4, size, 3).mean(axis=(2, 4)) / 255 - 0.5
    return np.asarray(cells.reshape(len(crops_rgb_u8), -1), np.float32)


def test_rcnn_finds_what_it_was_shown() -> None:
    rng = np.random.default_rng(2)
    examples = []
    for _ in range(12):
        picture, boxes, labels = scene(rng)
        near = boxes.repeat(6, axis=0) + rng.normal(0, 2, (12, 4)).astype(np.float32)
        proposals = np.concatenate([sliding_windows(80, 120)[::9], near])
        examples.append(RegionExample(picture, boxes, labels, proposals))
    model = train_rcnn(examples, 2, colours)
    predictions, truths = [], []
    for _ in range(3):
        picture, boxes, labels = scene(rng)
        predictions.append(model(picture, selective_search(picture, most=100)))
        truths.append(Truth(boxes, labels, np.zeros(2, np.bool_)))
    assert voc07_map(predictions, truths, ("red", "blue")).mean_average_precision > 0.9


def test_a_class_without_boxes_is_told() -> None:
    picture, boxes, labels = scene(np.random.default_rng(0))
    with pytest.raises(DataError, match="no training picture holds class number 2"):
        train_rcnn([RegionExample(picture, boxes, labels, boxes)], 3, colours)


def test_a_crop_shows_the_box_and_some_context() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[10:30, 10:50] = 255
    crop = warp(picture, np.array([10, 10, 50, 30], np.float32))
    assert crop.shape == (CROP_PX, CROP_PX, 3)
    assert crop[CROP_PX // 2, CROP_PX // 2].tolist() == [255, 255, 255]
    assert crop[2, 2].tolist() == [0, 0, 0]
    white = (crop[CROP_PX // 2, :, 0] > 127).sum() / CROP_PX
    assert white == pytest.approx(1 - 2 * 16 / 227, abs=0.04)
    corner = warp(picture, np.array([-20, -20, 5, 5], np.float32))
    assert corner[0, 0].tolist() == [127, 127, 127]


def test_a_search_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, path = tmp_path / "photos", tmp_path / "found" / "p.npz"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(folder / name), two_colours()[..., ::-1])
    searched: list[int] = []

    def search(_: NDArray[np.uint8]) -> NDArray[np.float32]:
        searched.append(len(searched))
        if len(searched) == 2:
            raise KeyboardInterrupt
        return np.array([[0, 0, len(searched), 9]], np.float32)

    monkeypatch.setattr(propose_module, "selective_search", search)
    store, names = FolderPictures(folder), ["a.png", "b.png", "c.png"]
    with pytest.raises(KeyboardInterrupt):
        propose(store, names, path)
    assert list(read_proposals(path)) == ["a.png"]
    told: list[tuple[int, int]] = []
    found = propose(store, names, path, tell=lambda done, total: told.append((done, total)))
    assert told == [(2, 3), (3, 3)]
    assert [boxes[0, 2] for boxes in found.values()] == [1, 3, 4]
    assert read_proposals(path).keys() == found.keys()


def test_processes_find_the_same(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), two_colours()[..., ::-1])
    found = propose(FolderPictures(tmp_path), ["a.png", "b.png"], tmp_path / "p.npz", workers=2)
    assert all(np.array_equal(boxes, selective_search(two_colours())) for boxes in found.values())


def record(name: str = "a.jpg", size_hw: tuple[int, int] | None = (20, 30)) -> DetectionRecord:
    return DetectionRecord(
        name, np.array([[0, 0, 9, 9]], np.float32), np.zeros(1, np.int64), np.zeros(1, np.bool_), size_hw
    )


def test_proposals_join_their_pictures(tmp_path: Path) -> None:
    data = DetectionSet(("thing",), (record(),), FolderPictures(tmp_path))
    path = tmp_path / "p.npz"
    with pytest.raises(DataError, match=r"p.npz are not there; run `tombola data propose`"):
        with_proposals(data, path)
    write_proposals(path, {"b.jpg": np.array([[0, 0, 3, 4]], np.float32)})
    with pytest.raises(DataError, match=r"no proposals of a.jpg; run `tombola data propose`"):
        with_proposals(data, path)
    write_proposals(path, {"a.jpg": np.array([[0, 0, 30, 21]], np.float32)})
    with pytest.raises(DataError, match=r"of a.jpg reach out of it"):
        with_proposals(data, path)
    write_proposals(path, {"a.jpg": np.array([[0, 0, 30, 20]], np.float32)})
    proposals = with_proposals(data, path).records[0].proposals_xyxy
    assert proposals is not None
    assert proposals.tolist() == [[0, 0, 30, 20]]
