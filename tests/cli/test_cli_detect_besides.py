"""What `tombola detect` does beside telling boxes: classes, crops, formats, tiles, videos for browsers."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import Result

Tombola = Callable[..., Result]
Picture = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("place")

WITH_MODEL = ("--model", "model.onnx", "--device", "cpu")


def clip(path: str) -> None:
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for shade in range(3):
        writer.write(np.full((48, 64, 3), shade, np.uint8))
    writer.release()


def test_some_classes_only(tombola: Tombola) -> None:
    result = tombola("detect", "photo.jpg", *WITH_MODEL, "--classes", "dog, person", "--json")
    assert [found["name"] for found in json.loads(result.stdout)["detections"]] == ["dog"]
    wrong = tombola("detect", "photo.jpg", *WITH_MODEL, "--classes", "dgo")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("error: the model knows no class 'dgo'. Did you mean 'dog'?")


def test_crops_lie_in_a_folder_for_each_class(tombola: Tombola, picture: Picture) -> None:
    picture("other/photo.jpg", 40, 20)
    clip("clip.avi")
    result = tombola("detect", "photo.jpg", "other", "clip.avi", *WITH_MODEL, "--crops", "crops", "--json")
    assert result.exit_code == 0
    sizes = {
        path.relative_to("crops").as_posix(): np.asarray(cv2.imread(str(path))).shape[:2]
        for path in Path("crops").rglob("*.*")
    }
    assert sizes == {
        "cat/photo-1.jpg": (50, 100),
        "dog/photo-2.jpg": (50, 100),
        "cat/photo-1-2.jpg": (10, 20),
        "dog/photo-2-2.jpg": (10, 20),
        **{f"cat/clip-00000{frame}-1.png": (24, 32) for frame in range(3)},
        **{f"dog/clip-00000{frame}-2.png": (24, 32) for frame in range(3)},
    }
    first = json.loads(result.stdout.splitlines()[0])
    assert first["crops"] == [str(Path("crops/cat/photo-1.jpg")), str(Path("crops/dog/photo-2.jpg"))]


def test_a_crop_never_overwrites_a_source(tombola: Tombola, picture: Picture) -> None:
    source = picture("crops/cat/photo-1.jpg")
    before = source.read_bytes()
    result = tombola("detect", source, "photo.jpg", *WITH_MODEL, "--crops", "crops")
    assert result.exit_code == 1
    assert "the crop would overwrite this source; give --crops another folder" in result.stderr
    assert source.read_bytes() == before


def test_a_class_name_cannot_lead_out_of_the_folder(
    tombola: Tombola, model_bytes: Callable[..., bytes]
) -> None:
    Path("model.onnx").write_bytes(model_bytes(labels=("../../cat", "..", "a:b")))
    result = tombola(
        "detect", "photo.jpg", *WITH_MODEL, "--score", "0.1", "--iou", "1", "--crops", "deep/crops"
    )
    assert result.exit_code == 0
    assert sorted(path.name for path in Path("deep/crops").iterdir()) == ["_", "_.._cat", "a_b"]


def test_csv(tombola: Tombola) -> None:
    clip("clip.avi")
    result = tombola("detect", "photo.jpg", "clip.avi", "gone.jpg", *WITH_MODEL, "--format", "csv")
    assert result.exit_code == 1
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [(row["source"], row["frame"], row["name"]) for row in rows] == [
        ("photo.jpg", "", "cat"),
        ("photo.jpg", "", "dog"),
        *[("clip.avi", str(frame), name) for frame in range(3) for name in ("cat", "dog")],
    ]
    assert result.stderr.splitlines()[-1] == "2 done, 1 failed"


def test_coco_is_one_document(tombola: Tombola, picture: Picture) -> None:
    picture("b.png", 40, 20)
    document = json.loads(tombola("detect", "photo.jpg", "b.png", *WITH_MODEL, "--format", "coco").stdout)
    assert [image["file_name"] for image in document["images"]] == ["photo.jpg", "b.png"]
    assert [one["image_id"] for one in document["annotations"]] == [1, 1, 2, 2]
    assert [one["name"] for one in document["categories"]] == ["cat", "dog", "person"]


def test_yolo_lies_beside_the_annotated_copies(tombola: Tombola) -> None:
    result = tombola("detect", "photo.jpg", *WITH_MODEL, "--format", "yolo", "--save", "out")
    assert result.exit_code == 0
    assert "2 found" in result.stdout
    assert Path("out/photo.txt").read_text().splitlines() == [
        "0 0.250000 0.250000 0.500000 0.500000",
        "1 0.750000 0.750000 0.500000 0.500000",
    ]
    assert Path("out/classes.txt").read_text() == "cat\ndog\nperson\n"


@pytest.mark.parametrize(
    "options", [["--format", "yolo"], ["--format", "csv", "--json"], ["--format", "xml"]]
)
def test_formats_that_cannot_be(tombola: Tombola, options: list[str]) -> None:
    assert tombola("detect", "photo.jpg", *WITH_MODEL, *options).exit_code == 2


def test_panoramas_get_a_hint_and_tiles(tombola: Tombola, picture: Picture) -> None:
    for name in ("wide.png", "wider.png"):
        picture(name, 640, 100)
    result = tombola("detect", "wide.png", "wider.png", "photo.jpg", *WITH_MODEL)
    assert result.exit_code == 0
    assert result.stderr == (
        "note: wide.png: the network sees its 640×100 pixels at 32×5, where small things are lost "
        "(1 more alike); add --tiles to look piece by piece\n"
    )
    tiled = tombola("detect", "wide.png", *WITH_MODEL, "--tiles", "--json")
    assert tiled.stderr == "1 done, 0 failed\n"
    assert len(json.loads(tiled.stdout)["detections"]) > 2


def test_a_video_for_browsers(tombola: Tombola) -> None:
    clip("clip.avi")
    other = tombola("detect", "clip.avi", *WITH_MODEL, "--save", "out")
    assert "out/clip.avi, without sound" in other.stdout.replace("\\", "/")
    assert "clip.avi does not play in a browser; with --webm it would" in other.stderr
    result = tombola("detect", "clip.avi", *WITH_MODEL, "--save", "out", "--webm")
    assert (result.exit_code, result.stderr) == (0, "")
    assert Path("out/clip.webm").read_bytes()[:4] == b"\x1a\x45\xdf\xa3"
