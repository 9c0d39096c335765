"""A generator draws from its seed, holds to its classes, encodes where it can, and says what it cannot."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import tombola
from tests.toy_generator import LABELS, full_generator, plain_generator
from tombola.errors import ModelError, OutputError
from tombola.runtime.tasks.generate import film
from tombola.runtime.tasks.generate.answer import sheet_cells
from tombola.runtime.tasks.generate.compare import GenerateYardstick
from tombola.runtime.tasks.generate.film import round_trip, save_film
from tombola.runtime.tasks.generate.latents import slerp
from tombola.runtime.tasks.generate.model import Generator
from tombola.runtime.tasks.generate.signature import check_pictures
from tombola.runtime.verify import verify

PICTURE = np.dstack([np.array([[78, 228]], np.uint8)] * 3)  # latents -1 and 2 of the first class


@pytest.fixture(scope="module")
def plain() -> Generator:
    return tombola.load(plain_generator(), device="cpu", task="generate")


@pytest.fixture(scope="module")
def full() -> Generator:
    return tombola.load(full_generator(), device="cpu", task="generate")


def pixels(latents: NDArray[Any]) -> NDArray[np.uint8]:
    """What the toy makes, [n, 1, 2, 1], in numpy."""
    return np.clip(np.round(128 + 50 * latents), 0, 255).astype(np.uint8).reshape(-1, 1, 2, 1)


def test_a_seed_gives_the_numbers_of_pcg64(plain: Generator) -> None:
    drawn = np.random.Generator(np.random.PCG64(7)).standard_normal((600, 2), np.float32)
    made = plain.sample(600, seed=7)  # three calls of the graph
    assert np.array_equal(made.latents, drawn)
    assert np.array_equal(made.images_u8, pixels(drawn))
    assert np.array_equal(plain.sample(3, seed=7).images_u8, made.images_u8[:3])
    assert not np.array_equal(plain.sample(600, seed=8).images_u8, made.images_u8)
    assert np.array_equal(plain.decode(drawn[5]).images_u8, made.images_u8[5:6])
    assert np.array_equal(plain.sample(2, seed=7, temperature=0).images_u8, pixels(np.zeros((2, 2))))


def test_classes_by_name_by_number_and_in_turn(full: Generator) -> None:
    zeros = np.zeros((4, 2))
    assert full.decode(zeros, label="light").images_u8[:, 0, 0, 0].tolist() == [148] * 4
    assert full.decode(zeros, label=2).names == ("lightest",) * 4
    assert full.decode(zeros, label=[0, "light", 2, 1]).images_u8[:, 0, 0, 0].tolist() == [128, 148, 168, 148]
    assert full.sample(4).names == ("dark", "light", "lightest", "dark")
    parts = list(full.decodings(np.zeros((300, 2))))
    assert [len(part) for part in parts] == [256, 44]
    assert [name for part in parts for name in part.names or ()] == ["dark", "light", "lightest"] * 100


def test_any_number_takes_no_more_memory(full: Generator) -> None:
    assert len(next(full.samples(10**15))) == 256


@pytest.mark.parametrize("label", ["grey", 3, -1, True, 0.5, ["dark", "light"]])
def test_a_class_that_is_none(full: Generator, label: Any) -> None:
    with pytest.raises((ModelError, TypeError)):
        full.sample(3, label=label)


def test_a_model_without_classes_takes_none(plain: Generator) -> None:
    assert plain.sample(2).names is None
    with pytest.raises(ModelError, match="knows no classes"):
        plain.sample(2, label="dark")


@pytest.mark.parametrize(
    "latents",
    [np.zeros((2, 3)), np.zeros((0, 2)), [[np.nan, 0]], [[np.inf, 0]], np.zeros((1, 1, 2)), [["a", "b"]]],
)
def test_latents_that_are_none(plain: Generator, latents: Any) -> None:
    with pytest.raises(ModelError, match="latents must be"):
        plain.decode(latents)


@pytest.mark.parametrize(
    "settings", [{"count": 0}, {"count": -2}, {"seed": -1}, {"temperature": float("nan")}]
)
def test_what_cannot_be_drawn(plain: Generator, settings: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=next(iter(settings))):
        plain.sample(**{"count": 1, **settings})


def test_a_picture_is_encoded_and_comes_back(full: Generator) -> None:
    assert full.encode(PICTURE, label="dark").tolist() == [-1.0, 2.0]
    back = full.reconstruct(PICTURE)  # of all classes the first is nearest
    assert back.names == ("dark",)
    assert np.array_equal(back[0], PICTURE)
    near = full.variations(PICTURE, 3, spread=0.0)
    assert np.array_equal(near.images_u8, np.repeat(back.images_u8, 4, axis=0))
    assert len(np.unique(full.variations(PICTURE, 5, spread=1.0, seed=1).latents)) > 5
    assert np.array_equal(full(PICTURE).images_u8, back.images_u8)


@pytest.mark.parametrize("size_hw", [(60, 100), (100, 60), (31, 7)])
def test_beside_a_camera_s_picture(full: Generator, size_hw: tuple[int, int]) -> None:
    camera = np.full((*size_hw, 3), 200, np.uint8)
    made = full(camera)
    drawn, half = made.draw(camera), size_hw[1] // 2
    assert drawn.shape == camera.shape
    assert drawn[size_hw[0] // 2, half // 2].tolist() == [200] * 3
    right = drawn[:, half : 2 * half]
    assert {0, *made.images_u8.ravel()} >= set(np.unique(right)) > {0}


def test_what_cannot_encode_says_so(plain: Generator) -> None:
    with pytest.raises(ModelError, match="cannot encode"):
        plain.reconstruct(PICTURE)


@settings(max_examples=40, deadline=None)
@example(size=2, seed=230)  # nearly opposite
@given(size=st.integers(2, 30), seed=st.integers(0, 1000))
def test_slerp_begins_and_ends_where_it_should(size: int, seed: int) -> None:
    one, other = np.random.default_rng(seed).standard_normal((2, size)).astype(np.float32)
    way = slerp(one, other, 9)
    assert np.allclose(way[[0, -1]], [one, other], atol=1e-5)
    lengths = np.linalg.norm(way, axis=1)
    assert np.allclose(lengths, np.linspace(lengths[0], lengths[-1], 9), rtol=1e-4)


def test_slerp_by_hand() -> None:
    way = slerp(np.array([1, 0], np.float32), np.array([0, 1], np.float32), 3)
    assert np.allclose(way, [[1, 0], [0.5**0.5, 0.5**0.5], [0, 1]], atol=1e-6)
    assert np.allclose(slerp(np.ones(2, np.float32), np.full(2, 3, np.float32), 3), [[1, 1], [2, 2], [3, 3]])
    assert len(round_trip(np.eye(3, dtype=np.float32), 4)) == 12


def test_a_sheet_has_every_picture_in_its_place(plain: Generator, tmp_path: Path) -> None:
    made = plain.sample(5, seed=1)
    sheet = made.sheet(across=2)
    assert sheet.shape == (3 * 3 + 2, 2 * 4 + 2, 3)
    assert np.array_equal(sheet[2 + 3 : 2 + 4, 2 + 4 : 2 + 6], made[3])
    read = cv2.imread(str(made.save(tmp_path / "sheet.png", across=2)))
    assert np.array_equal(np.asarray(read)[..., ::-1], sheet)
    with pytest.raises(ModelError, match="more than 100 million"):
        sheet_cells(400, (600, 600))


def test_a_film_plays(plain: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = list(plain.sample(4, seed=2))
    done, animation = cv2.imreadanimation(str(save_film(frames, tmp_path / "film.gif")))
    assert done
    assert len(animation.frames) == 4
    monkeypatch.setattr(film, "MOST_GIF_PIXELS", 224 * 112 * len(frames) - 1)
    with pytest.raises(OutputError, match=r"take fewer, or a name that ends in \.mp4"):
        save_film(frames, tmp_path / "long.gif")
    assert save_film(iter(frames), tmp_path / "film.mp4").stat().st_size > 100
    with pytest.raises(OutputError, match=r"a film is one of \.gif"):
        save_film(frames, tmp_path / "film.png")


def test_verify_finds_pictures_that_are_off() -> None:
    assert verify(plain_generator(), "cpu").ok
    yardstick = GenerateYardstick()
    wanted: dict[str, NDArray[Any]] = {
        "images": np.full((2, 4, 4, 1), 100, np.uint8),
        "codes": np.zeros((2, 3), np.float32),
    }

    def fine(**found: NDArray[Any]) -> list[bool]:
        differences = yardstick.differences({**wanted, **found}, wanted)
        return [one.is_small for one in differences or ()]

    assert fine() == [True, True, True]
    one_off = wanted["images"].copy()
    one_off[0, 0, 0] = 101
    assert fine(images=one_off) == [True, True, True]
    assert fine(images=wanted["images"] - 1) == [True, False, True]  # each but a rounding, all of them darker
    assert fine(images=np.where(one_off > 100, 110, 100).astype(np.uint8)) == [False, False, True]
    assert fine(codes=wanted["codes"] + np.float32(0.01)) == [True, True, False]
    assert yardstick.differences({**wanted, "images": one_off[:1]}, wanted) is None


@pytest.mark.parametrize(
    ("images", "codes"),
    [
        (np.zeros((2, 4, 4), np.uint8), np.zeros((2, 3))),
        (np.zeros((2, 4, 4, 2), np.uint8), np.zeros((2, 3))),
        (np.zeros((2, 4, 4, 1), np.float32), np.zeros((2, 3))),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros((1, 3))),
        (np.zeros((2, 4, 4, 1), np.uint8), np.full((2, 3), np.nan)),
    ],
)
def test_an_answer_that_is_none(images: NDArray[Any], codes: NDArray[Any]) -> None:
    with pytest.raises(ModelError):
        check_pictures({"images": images, "codes": codes}, 0)


def test_the_file_says_how_many_latents_it_takes() -> None:
    for sides in ({}, {"latent_size": 0}, {"latent_size": True}, {"latent_size": 2, "depth": 1}):
        with pytest.raises(ModelError, match=r"tombola\.sides"):
            plain_generator(sides=sides, probes=())
    with pytest.raises(ModelError, match=r"asks for the input latents float32 \[n, 3\]"):
        tombola.load(plain_generator(sides={"latent_size": 3}, probes=()), device="cpu")
    with pytest.raises(ModelError, match=r"tombola\.probes\[0\]: latents must be finite numbers"):
        plain_generator(sides={"latent_size": 3})


def test_it_is_part_of_the_public_face(full: Generator) -> None:
    assert isinstance(full, tombola.Generator)
    assert isinstance(full.sample(), tombola.Generated)
    assert (full.latent_size, full.is_conditional, full.can_encode, full.labels) == (2, True, True, LABELS)
    assert full.sample(2).to_dict()["pictures"][1]["name"] == "light"
