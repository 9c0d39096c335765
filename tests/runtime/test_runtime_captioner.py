"""A captioner whose graph is a few lines: what its answer becomes, and what is refused."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import tombola
from tests.toy_captioner import WORDS, toy_captioner
from tombola.cli.main import app
from tombola.errors import ModelError, PictureError
from tombola.runtime.contract.contract import Probe
from tombola.runtime.load import load
from tombola.runtime.tasks.caption.answer import Caption, Captions
from tombola.runtime.tasks.caption.compare import CaptionYardstick
from tombola.runtime.tasks.caption.draw import attention_sheet, film_sheet, with_caption_below
from tombola.runtime.tasks.caption.signature import check_captions

PICTURE = np.full((40, 60, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def captioner() -> tombola.Captioner:
    return load(toy_captioner(), "cpu", task="caption")


def test_tokens_become_words(captioner: tombola.Captioner) -> None:
    captions = captioner(PICTURE)
    assert captions.captions == (
        Caption(("a", "dog"), -0.25, is_cut=False),
        Caption(("a", "cat", "a"), -0.5, is_cut=True),
    )
    assert (captions.text, captions.score, captions[1].text) == ("a dog", -0.25, "a cat a …")
    assert captions.size_hw == (40, 60)
    assert captions.attention.tolist() == [[[1, 0]], [[0.25, 0.75]]]
    assert len(captioner([PICTURE, PICTURE])[1]) == 2
    assert len(captioner(PICTURE, beam_size=1)) == 1
    assert repr(captioner) == "<Captioner of 6 words on cpu>"
    assert captions.to_dict() == {"size_hw": [40, 60], "caption": "a dog", "score": -0.25, "is_cut": False}
    alternatives = [{"caption": "a cat a …", "score": -0.5, "is_cut": True}]
    assert captions.to_dict(5)["alternatives"] == alternatives


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"beam_size": 0}, "beam_size: 0 must be a whole number from 1 to 100"),
        ({"beam_size": 101}, "beam_size: 101 must be"),
        ({"max_length": 0}, "max_length: 0 must be"),
        ({"length_power": -1.0}, "length_power: -1.0 must be"),
    ],
)
def test_options_out_of_range(captioner: tombola.Captioner, option: dict[str, Any], match: str) -> None:
    with pytest.raises(ModelError, match=match):
        captioner(PICTURE, **option)


def test_vocabularies_that_do_not_fit() -> None:
    with pytest.raises(ModelError, match="begins with 'a', not with '<end>', which ends a caption"):
        load(toy_captioner(("a", "dog", "cat")), "cpu")
    with pytest.raises(ModelError, match="the token 5, but the vocabulary 4 words"):
        load(toy_captioner(WORDS[:4]), "cpu", task="caption")(PICTURE)
    with pytest.raises(ModelError, match=r"tombola\.vocabulary: must be a list of one or more names"):
        toy_captioner(())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"scores": np.array([np.nan, 0], np.float32)}, "not finite"),
        ({"tokens": np.zeros((0, 3), np.int64)}, "the answer is not"),
        ({"attention": np.zeros((2, 1, 2), np.float32)}, "the answer is not"),
        ({"tokens": np.full((2, 3), -1)}, "has the token -1"),
    ],
)
def test_answers_that_are_none(change: dict[str, NDArray[Any]], match: str) -> None:
    good = {
        "tokens": np.array([[3, 4, 0], [3, 5, 3]]),
        "scores": np.array([-0.25, -0.5], np.float32),
        "attention": np.zeros((3, 1, 2), np.float32),
    }
    check_captions(good)
    with pytest.raises(ModelError, match=match):
        check_captions({**good, **change})


def test_the_yardstick_wants_the_same_words(captioner: tombola.Captioner) -> None:
    answer = captioner.outputs({"image": PICTURE})
    stick = CaptionYardstick()
    assert stick.count(answer) == 5
    moved = {**answer, "scores": answer["scores"] + np.float32(0.01)}
    differences = stick.differences(moved, answer)
    assert differences is not None
    assert [one.is_small for one in differences] == [False, True]
    assert stick.differences({**answer, "tokens": answer["tokens"][::-1]}, answer) is None
    assert stick.differences({**answer, "attention": answer["attention"][:2]}, answer) is None


@pytest.mark.parametrize("size_hw", [(40, 60), (300, 451), (8, 8), (1, 1)])
def test_drawn_on_and_under_a_picture(captioner: tombola.Captioner, size_hw: tuple[int, int]) -> None:
    image = np.full((*size_hw, 3), 200, np.uint8)
    captions = captioner(image)
    drawn = captions.draw(image)
    assert drawn.shape == image.shape
    below = with_caption_below(image, captions)
    assert (below[: size_hw[0]] == image).all()
    if size_hw[1] > 40:
        assert (drawn != image).any()
        assert below.shape[0] > size_hw[0]
    sheet = attention_sheet(image, captions)
    # The picture as it is, then one for each of the two words.
    assert sheet.shape[1] == 3 * 224
    with pytest.raises(PictureError, match="a picture to draw on must be"):
        captions.draw(image[..., 0])


def test_a_heat_map_is_bright_where_the_word_looked() -> None:
    attention = np.array([[[1, 0]]], np.float32)
    captions = Captions((Caption(("dog",), 0.0, is_cut=False),), attention, (224, 224))
    tile = attention_sheet(np.full((224, 224, 3), 200, np.uint8), captions)[:224, 224:].astype(int)
    assert tile[:, :40].mean() > 190
    assert tile[:, -40:].mean() < 60


def test_the_command_tells_it(tmp_path: Path) -> None:
    model, picture = tmp_path / "toy.onnx", Path(__file__).parents[1] / "photos" / "chelsea.jpg"
    answer = {"tokens": [[3, 4, 0]], "scores": [-0.25], "attention": [[[1, 0]], [[0.25, 0.75]], [[0.5, 0.5]]]}
    png = (Path(__file__).parents[1] / "photos" / "trousers.png").read_bytes()
    model.write_bytes(toy_captioner(probes=(Probe(png, answer, {"beam_size": 1}),)))

    def run(*arguments: object) -> str:
        done = CliRunner().invoke(app, list(map(str, arguments)))
        assert done.exit_code == 0, done.output
        return done.output

    told = run("caption", picture, "-m", model, "--alternatives", 1, "--attention", tmp_path / "heat")
    assert "451×300  a dog (-0.25)" in told
    assert "a cat a …  -0.50" in told
    assert (tmp_path / "heat" / "chelsea.png").is_file()
    line = json.loads(
        run("caption", picture, "-m", model, "--json", "--save", tmp_path / "out").splitlines()[0]
    )
    assert (line["caption"], line["is_cut"], line["size_hw"]) == ("a dog", False, [300, 451])
    assert Path(line["saved"]).is_file()
    assert "2 words compared" in run("verify", model, "--device", "cpu")


@pytest.fixture(scope="module")
def of_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clips.onnx"
    path.write_bytes(toy_captioner(of_clips=True))
    return path


def test_a_clip_has_a_weight_for_each_frame(of_clips: Path, tmp_path: Path) -> None:
    model = load(of_clips, "cpu", task="caption")
    assert model.takes_clips
    captions = model(np.zeros((12, 40, 60, 3), np.uint8))
    assert captions.places is not None
    assert captions.places.tolist() == [1, 4, 7, 10]
    assert captions.attention[..., 0].tolist() == [[0, 0, 0.25, 0.75], [1, 0, 0, 0]]
    told = captions.to_dict()
    assert told["frames"] == [1, 4, 7, 10]
    assert told["words"][1] == {"word": "dog", "weights": [1.0, 0.0, 0.0, 0.0]}
    # The last two of the four frames that the graph looks at are both the second of a clip of two.
    short = model(np.zeros((2, 40, 60, 3), np.uint8))
    assert short.attention[..., 0].tolist() == [[0, 1], [1, 0]]
    picture = tmp_path / "one.png"
    cv2.imwrite(str(picture), PICTURE)
    assert model(picture).attention.tolist() == [[[1]], [[1]]]  # a clip of one frame
    assert model.answer({"frames": np.zeros((12, 40, 60, 3), np.uint8)}).text == captions.text
    with pytest.raises(PictureError, match=r"cannot read a clip from \[40, 60, 3\]"):
        model(PICTURE)


def test_the_film_is_bright_where_the_word_looked() -> None:
    captions = Captions((Caption(("dog",), 0.0, is_cut=False),), np.array([[[0], [1.0]]], np.float32), (8, 8))
    sheet = film_sheet(np.full((8, 16, 3), 200, np.uint8), captions).astype(int)
    assert sheet.shape[1] == 2 * 112
    assert (sheet[-112:, :112] == 50).all()
    assert (sheet[-112:, 112:] == 200).all()


def test_the_command_tells_clips(of_clips: Path, tmp_path: Path) -> None:
    clip, folder = tmp_path / "clip.gif", tmp_path / "frames"
    folder.mkdir()
    animation = cv2.Animation()
    animation.frames = [np.full((30, 40, 3), 20 * number, np.uint8) for number in range(6)]
    animation.durations = [40] * 6
    cv2.imwriteanimation(str(clip), animation)
    for number, side in enumerate((30, 50)):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((side, 40, 3), 90, np.uint8))
    (tmp_path / "cut.gif").write_bytes(clip.read_bytes()[:60])

    def run(*arguments: object) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, [*map(str, arguments), "-m", str(of_clips), "--device", "cpu"])
        return done.exit_code, done.stdout, done.stderr

    code, told, complaint = run("caption", tmp_path / "cut.gif", clip, folder, "--alternatives", 1)
    assert (code, "cut.gif" in complaint) == (1, True)
    assert "40×30  a dog (-0.25) over 4 frames" in told
    assert "a dog (-0.25) over 2 frames" in told
    assert "a cat a …  -0.50" in told
    code, told, _ = run(
        "caption", clip, "--json", "--save", tmp_path / "out", "--attention", tmp_path / "heat"
    )
    line = json.loads(told)
    assert (code, line["caption"], line["frames"]) == (0, "a dog", [0, 2, 3, 5])
    assert [one["word"] for one in line["words"]] == ["a", "dog"]
    saved, heat = (cv2.imread(line[key]) for key in ("saved", "attention"))
    assert saved is not None
    assert heat is not None
    assert saved.shape[1] == 4 * 3 * 40  # each frame larger, beside the next
    assert saved.shape[0] > 3 * 30
    assert heat.shape[1] == 4 * 112
    assert "a clip cannot come on stdin" in run("caption", "-")[2]
