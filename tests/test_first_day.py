"""A newcomer's first day: labelled photos, in the layouts that tools write, to a file in four commands."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from typer.testing import CliRunner

import tombola
from tombola.cli.main import app
from tombola.train.download.weights import weights_path
from tombola.train.networks.classify.backbone_classifier import InvertedResidualSettings
from tombola.train.networks.classify.classifiers import build_classifier
from tombola.train.networks.layers.convolution import ConvBatchNorm

pytestmark = pytest.mark.slow

COLOURS_BGR = ((30, 30, 220), (220, 60, 30))
NAMES = ("red", "blue")
SPLITS = {"train": range(12), "valid": range(12, 16), "test": range(16, 20)}


class Photo:
    """A grey picture of 160 × 120 with one coloured rectangle, and where that is."""

    def __init__(self, number: int) -> None:
        rng = np.random.default_rng(number)
        self.label = number % 2
        self.w, self.h = (int(side) for side in rng.integers(40, 70, size=2))
        self.x, self.y = int(rng.integers(0, 160 - self.w)), int(rng.integers(0, 120 - self.h))
        self.image = rng.integers(90, 160, (120, 160, 3), dtype=np.uint8)
        self.image[self.y : self.y + self.h, self.x : self.x + self.w] = COLOURS_BGR[self.label]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), self.image)

    @property
    def yolo(self) -> str:
        middle = (self.x + self.w / 2) / 160, (self.y + self.h / 2) / 120
        return f"{self.label} {middle[0]} {middle[1]} {self.w / 160} {self.h / 120}\n"

    @property
    def voc(self) -> str:
        box = (
            f"<xmin>{self.x + 1}</xmin><ymin>{self.y + 1}</ymin>"
            f"<xmax>{self.x + self.w}</xmax><ymax>{self.y + self.h}</ymax>"
        )
        name = NAMES[self.label]
        return f"<annotation><object><name>{name}</name><bndbox>{box}</bndbox></object></annotation>"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def yolo(root: Path) -> None:
    """data.yaml, images/train, labels/train, …"""
    for split, numbers in SPLITS.items():
        for number in numbers:
            Photo(number).save(root / "images" / split / f"{number}.png")
            write(root / "labels" / split / f"{number}.txt", Photo(number).yolo)
    sets = "train: images/train\nval: images/valid\ntest: images/test\n"
    write(root / "data.yaml", f"{sets}names: [red, blue]\n")


def undivided(root: Path) -> None:
    """images and labels in one set."""
    for number in range(20):
        Photo(number).save(root / "images" / f"{number}.png")
        write(root / "labels" / f"{number}.txt", Photo(number).yolo)
    write(root / "labels" / "classes.txt", "red\nblue\n")


def voc(root: Path) -> None:
    """Annotations, JPEGImages, ImageSets."""
    for split, numbers in SPLITS.items():
        for number in numbers:
            Photo(number).save(root / "JPEGImages" / f"{number:06d}.jpg")
            write(root / "Annotations" / f"{number:06d}.xml", Photo(number).voc)
        lines = "".join(f"{number:06d}\n" for number in numbers)
        write(root / "ImageSets" / "Main" / f"{split.replace('valid', 'val')}.txt", lines)


def coco_text(numbers: range) -> str:
    photos = {number: Photo(number) for number in numbers}
    return json.dumps(
        {
            "images": [
                {"id": number, "file_name": f"{number}.png", "width": 160, "height": 120} for number in photos
            ],
            "annotations": [
                {
                    "id": number,
                    "image_id": number,
                    "category_id": one.label,
                    "bbox": [one.x, one.y, one.w, one.h],
                }
                for number, one in photos.items()
            ],
            "categories": [{"id": label, "name": name} for label, name in enumerate(NAMES)],
        }
    )


def coco(root: Path) -> None:
    """annotations/instances_train2017.json, train2017, …"""
    for split, numbers in SPLITS.items():
        stem = f"{split.replace('valid', 'val')}2017"
        for number in numbers:
            Photo(number).save(root / stem / f"{number}.png")
        write(root / "annotations" / f"instances_{stem}.json", coco_text(numbers))


def coco_export(root: Path) -> None:
    """A folder a set, each with _annotations.coco.json."""
    for split, numbers in SPLITS.items():
        for number in numbers:
            Photo(number).save(root / split / f"{number}.png")
        write(root / split / "_annotations.coco.json", coco_text(numbers))


def class_folders(root: Path) -> None:
    """A folder a class, in one set."""
    for number in range(20):
        Photo(number).save(root / NAMES[number % 2] / f"{number}.png")


# Smaller than the recipe says, so that the walk takes a minute.
DETECT = ("training.epochs=2", "training.batch_size=4", "training.workers=0", "picture.size=64")
CLASSIFY = (*DETECT[:3], "picture.size=[64, 64]")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder; fresh weights lie where `tombola data get` would have put the public ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = weights_path("efficientnet_lite0")
    path.parent.mkdir(parents=True)
    save_file(public_lite0(), path)
    return tmp_path


def public_lite0() -> dict[str, Tensor]:
    """Fresh weights of EfficientNet-Lite0 under their public names."""
    torch.manual_seed(0)
    settings = InvertedResidualSettings(kind="efficientnet_lite0")
    network = build_classifier(settings, channels=3, size_hw=(64, 64), n_classes=10)
    stem, *inner, last = (one for one in network.modules() if isinstance(one, ConvBatchNorm))
    named = {("_conv_stem", "_bn0"): stem, ("_conv_head", "_bn1"): last}
    block, before = 0, ""
    for unit in inner:
        part = "depthwise" if unit.conv.groups > 1 else "project" if before == "depthwise" else "expand"
        norm = {"expand": 0, "depthwise": 1, "project": 2}[part]
        named[f"_blocks.{block}._{part}_conv", f"_blocks.{block}._bn{norm}"] = unit
        block, before = block + (part == "project"), part
    tensors = {f"_fc.{key}": tensor for key, tensor in network.get_submodule("head").state_dict().items()}
    for (conv, norm_name), unit in named.items():
        tensors |= {f"{conv}.{key}": tensor for key, tensor in unit.conv.state_dict().items()}
        tensors |= {f"{norm_name}.{key}": tensor for key, tensor in unit.norm.state_dict().items()}
    return tensors


def tombola_does(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, prog_name="tombola")
    assert result.exit_code == 0, f"tombola {' '.join(arguments)}: {result.output}"
    return result.stdout


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    "layout", [yolo, undivided, voc, coco, coco_export, class_folders], ids=lambda layout: layout.__name__
)
def test_from_a_folder_to_a_checked_file_in_four_commands(layout: Callable[[Path], None]) -> None:
    layout(Path("photos"))
    detects = layout is not class_folders
    smaller = [word for change in (DETECT if detects else CLASSIFY) for word in ("--set", change)]

    told = tombola_does("init", "photos")
    assert "Next: tombola data check photos.toml" in told
    tombola_does("data", "check", "photos.toml")  # exits 1 for what training would refuse
    assert "Next: tombola export runs/photos" in tombola_does("train", "photos.toml", "--quiet", *smaller)
    tombola_does("export", "runs/photos", "-o", "photos.onnx")

    tombola_does("verify", "photos.onnx")
    photo = cv2.cvtColor(Photo(0).image, cv2.COLOR_BGR2RGB)
    if detects:
        detector = tombola.load("photos.onnx", task="detect")
        assert detector(np.asarray(photo, np.uint8)).boxes_xyxy.shape[1] == 4
    else:
        classifier = tombola.load("photos.onnx", task="classify")
        answer = classifier(np.asarray(photo, np.uint8))
        assert {guess.name for guess in answer.top(2)} == set(NAMES)
    assert "training pictures" in Path("runs/photos/report.html").read_text().lower()
