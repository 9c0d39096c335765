"""What the README and the pages show must hold: recipes are read, programs are run as they stand."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.toy_captioner import toy_captioner
from tests.toy_generator import full_generator
from tombola.train.recipe.recipe import to_toml
from tombola.train.tasks.table import TASKS, load_recipe

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RECIPES = [
    text
    for page in PAGES
    for text in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    if "task = " in text
]
PROGRAMS = [
    pytest.param(text, id=f"{page.stem}-{place}")
    for page in PAGES
    for place, text in enumerate(re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL))
]
# What a program finds where it runs.
FILES = {
    "detector.onnx": "runtime/models/voc-detector.onnx",
    "mine.onnx": "runtime/models/voc-detector.onnx",
    "clothes.onnx": "runtime/models/fashion-mnist-classifier.onnx",
    "photo.jpg": "tests/photos/chelsea.jpg",
}
MINE = """
task = "classify"
name = "mine"
[data]
format = "folder"
root = "pictures"
train = [{ pictures = ".", folds = ["!0/4"] }]
valid = [{ pictures = ".", folds = ["0/4"] }]
[picture]
size = [16, 16]
mean = [127.0, 127.0, 127.0]
scale = [0.01, 0.01, 0.01]
[network]
kind = "mlp"
widths = [8]
[training]
batch_size = 8
workers = 0
"""
BEFORE = """
import numpy as np
import onnxruntime
import tombola
image_rgb_u8 = np.zeros((300, 451, 3), np.uint8)
"""


@pytest.mark.parametrize("text", RECIPES, ids=[text.splitlines()[0] for text in RECIPES])
def test_its_recipes_are_valid(text: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    assert "[training]" in to_toml(load_recipe(path))


def test_they_show_a_recipe_of_each_task() -> None:
    assert {tomllib.loads(text)["task"] for text in RECIPES} == set(TASKS)


def draw_classes(root: Path) -> None:
    """Noise that is darker or brighter than grey, a folder a class."""
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("bright", 128)):
        (root / name).mkdir(parents=True)
        for number in range(40):
            picture = rng.integers(low, low + 128, (16, 16, 3), dtype=np.uint8)
            assert cv2.imwrite(str(root / name / f"{number}.png"), picture)


@pytest.mark.parametrize("text", PROGRAMS)
def test_programs_run_and_nothing_warns(text: str, tmp_path: Path) -> None:
    for name, source in FILES.items():
        shutil.copyfile(ROOT / source, tmp_path / name)
    (tmp_path / "captioner.onnx").write_bytes(toy_captioner())
    (tmp_path / "made.onnx").write_bytes(full_generator(labels=("coat", "bag")))
    (tmp_path / "mine.toml").write_text(MINE, encoding="utf-8")
    draw_classes(tmp_path / "pictures")
    program = tmp_path / "program.py"
    program.write_text(BEFORE + text, encoding="utf-8")
    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.stem))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
