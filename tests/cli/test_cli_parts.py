"""The parts behind the commands: reading ahead, layers, names in the save folder."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tombola.cli.ask.saving import SaveFolder
from tombola.errors import OutputError, PictureError
from tombola.runtime.modelfile.graph import read_graph
from tombola.runtime.modelfile.layers import Layer, layers
from tombola.runtime.moving.read_ahead import ReadAhead
from tombola.runtime.moving.sources import Source
from tombola.runtime.pictures.picture import Picture
from tombola.runtime.pictures.shrink import Shrink


def pictures(*paths: Path) -> list[Source]:
    return [Source(path, "picture") for path in paths]


@pytest.mark.usefixtures("place")
def test_pictures_come_in_order(picture: Callable[..., Path]) -> None:
    ahead = ReadAhead(pictures(*(picture(f"{width}.png", width) for width in (10, 20, 30))), 10_000)
    assert [ahead.take().size_hw[1] for _ in range(3)] == [10, 20, 30]
    with pytest.raises(IndexError):
        ahead.take()


@pytest.mark.usefixtures("place")
def test_a_picture_that_cannot_be_read_is_an_error_at_its_turn(picture: Callable[..., Path]) -> None:
    ahead = ReadAhead(pictures(picture("a.png", 10), Path("missing.png"), picture("b.png", 20)), 10_000)
    assert ahead.take().size_hw == (100, 10)
    with pytest.raises(PictureError, match="missing"):
        ahead.take()
    assert ahead.take().size_hw == (100, 20)


@pytest.mark.usefixtures("place")
def test_the_limit_holds_for_pictures_read_ahead(picture: Callable[..., Path]) -> None:
    with pytest.raises(PictureError, match="10x100"):
        ReadAhead(pictures(picture("a.png", 10)), 999).take()


@pytest.mark.usefixtures("place")
def test_the_next_picture_is_read_while_one_is_looked_at(
    picture: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = threading.Event()

    shrink = Shrink((8, 8), "longer")

    def read(path: Path, asked: Shrink | None, *, max_pixels: int) -> Picture:
        assert (asked, max_pixels) == (shrink, 7)
        if path.name == "b.png":
            second.set()
        return Picture(np.zeros((1, 1, 3), np.uint8), (1, 1))

    monkeypatch.setattr("tombola.runtime.moving.read_ahead.read_picture", read)
    ahead = ReadAhead(pictures(picture("a.png"), picture("b.png")), 7, shrink)
    assert not second.wait(0.05)
    ahead.take()
    assert second.wait(10)


def test_layers_count_a_shared_weight_once_and_name_what_no_node_uses() -> None:
    def constant(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(np.eye(*shape, dtype=np.float32), name)

    nodes = [
        helper.make_node("Gemm", ["x", "head.weight", "head.bias"], ["a"], name="first"),
        helper.make_node("Gemm", ["a", "head.weight", "last.bias"], ["b"], name="second"),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "shared",
        [value("x", TensorProto.FLOAT, ["n", 4])],
        [value("y", TensorProto.FLOAT, ["n", 4])],
        [
            constant("head.weight", 4, 4),
            constant("head.bias", 1, 4),
            constant("last.bias", 1, 4),
            constant("unused", 2, 2),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    assert layers(read_graph(model.SerializeToString())) == [
        Layer("head", "Gemm", count=20, zeros=15, nbytes=80),
        Layer("last.bias", "Gemm", count=4, zeros=3, nbytes=16),
        Layer("unused", "(used by no node)", count=4, zeros=2, nbytes=16),
    ]


def test_names_in_the_save_folder(tmp_path: Path) -> None:
    folder = SaveFolder(tmp_path / "out", [tmp_path / "a" / "x.jpg"])
    names = [
        folder.place(stem, suffix).name
        for stem, suffix in [
            ("x", ".jpg"),
            ("X", ".JPG"),
            ("x", ".png"),
            ("x-2", ".jpg"),
            ("x", ".jpg"),
        ]
    ]
    assert names == ["x.jpg", "X-2.JPG", "x.png", "x-2-2.jpg", "x-3.jpg"]
    assert len({name.casefold() for name in names}) == len(names)


def test_a_link_to_a_source_is_that_source(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    folder = SaveFolder(tmp_path / "link", [tmp_path / "real" / "x.jpg"])
    with pytest.raises(OutputError, match="would overwrite this source"):
        folder.place("x", ".jpg")
