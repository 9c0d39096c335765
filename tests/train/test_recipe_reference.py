"""`tombola recipe --show`: every key, with what the settings themselves say of it."""

import inspect
import re
import tomllib

import pytest

from tombola.errors import RecipeError
from tombola.train.init.reference import keys_of, reference, tables_in
from tombola.train.recipe.faults import _keys
from tombola.train.tasks.table import TASKS


@pytest.mark.parametrize("task", TASKS)
def test_every_key_is_shown(task: str) -> None:
    text = reference(task)
    for key in _keys(TASKS[task].recipe):
        *tables, last = key.split(".")
        here = ".".join(tables)
        bodies = re.split(r"^\[+([\w.]+)\]+.*$", text, flags=re.MULTILINE)
        if same := re.search(rf"^\[+{re.escape(here)}\]+ +# has the keys of \[+([\w.]+)", text, re.MULTILINE):
            here = same[1]
        own = [body for name, body in zip(["", *bodies[1::2]], bodies[::2], strict=True) if name == here]
        assert re.search(rf"^(# )?{last} =", "\n".join(own), re.MULTILINE) or f"[{key}]" in text, key


@pytest.mark.parametrize("task", TASKS)
def test_every_key_is_explained(task: str) -> None:
    unexplained, seen = [], set()

    def walk(settings: type, place: str) -> None:
        if settings in seen:
            return
        seen.add(settings)
        for name, kind, _, _ in keys_of(settings):
            said = re.search(rf"\b{name}\b", inspect.getdoc(settings) or "")
            if not (said or tables_in(kind) or name == "kind"):
                unexplained.append(f"{place}.{name} ({settings.__name__})")
            for one in tables_in(kind):
                walk(one, f"{place}.{name}")

    walk(TASKS[task].recipe, task)
    assert unexplained == []


def test_defaults_and_ranges_are_those_of_the_settings() -> None:
    lines = dict(re.findall(r"^(\w+) = (.*)$", reference("detect"), re.MULTILINE))
    assert re.fullmatch(r"0\.5 +# number from 0", lines["backbone_rate"])
    assert re.fullmatch(r"320 +# whole number from 32 to 4096", lines["size"])
    assert re.fullmatch(r"0\.0005 +# number above 0", lines["learning_rate"])
    assert re.fullmatch(r'"coco" +# "coco", "voc" or "yolo"', lines["format"])
    assert re.fullmatch(r"\[\[20\.0, .*\]\] +# list of lists of numbers above 0", lines["anchor_sizes_px"])
    assert re.search(r"^# annotations = +# text; needed$", reference("detect"), re.MULTILINE)
    assert re.search(r"^# weights = +# path; none by default$", reference("detect"), re.MULTILINE)


def test_what_is_shown_of_a_detector_is_toml() -> None:
    table = tomllib.loads(reference("detect"))
    assert table["task"] == "detect"
    assert table["training"]["epochs"] == 12
    assert table["proposals"]["anchor_ratios"] == [0.5, 1.0, 2.0]


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(RecipeError, match="task 'segment' is not known; choose detect or classify"):
        reference("segment")
