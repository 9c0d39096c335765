"""The story of region proposals, told on toy pictures."""

import json
from pathlib import Path

import pytest

from tombola.train import region_story
from tombola.train.region_story import tell_story


@pytest.mark.slow
def test_the_four_are_compared_and_a_second_telling_repeats_nothing(
    toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "story"
    folder.mkdir()
    overrides = ("training.epochs=1", "data.valid=[]")
    rows = tell_story(toy_recipe, folder, overrides)
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]
    assert [row[0] for row in cells] == [
        "sliding window, R-CNN's features",
        "R-CNN",
        "Fast R-CNN",
        "Faster R-CNN",
    ]
    for _, proposals, half, tight, score, seconds in cells:
        assert float(proposals) > 0
        assert 0 <= float(tight.rstrip(" %")) <= float(half.rstrip(" %")) <= 100
        assert 0 <= float(score) <= 100
        assert float(seconds) >= 0
    assert cells[1][1:4] == cells[2][1:4]  # the same proposals
    assert float(cells[1][2].rstrip(" %")) > 80  # rectangles of one colour on grey

    # A line that was cut off is asked again, nothing else is.
    path = folder / "answers-1.jsonl"
    text = path.read_text()
    path.write_text(text[:-20])
    for name in ("train_recipe", "train_rcnn", "selective_search"):
        monkeypatch.setattr(region_story, name, None)
    again = tell_story(toy_recipe, folder, overrides)
    assert [row.rsplit("|", 2)[0] for row in again] == [row.rsplit("|", 2)[0] for row in rows]
    assert len(path.read_text().splitlines()) == len(text.splitlines())
    assert (
        json.loads(path.read_text().splitlines()[-1])["boxes"] == json.loads(text.splitlines()[-1])["boxes"]
    )
