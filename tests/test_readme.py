"""What the README shows must hold: its recipes are read, its programs are run as they stand."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tombola.train.recipe.recipe import to_toml
from tombola.train.tasks.table import load_recipe

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
# What a program of the README finds where it runs.
FILES = {
    "detector.onnx": "runtime/models/voc-detector.onnx",
    "mine.onnx": "runtime/models/voc-detector.onnx",
    "clothes.onnx": "runtime/models/fashion-mnist-classifier.onnx",
    "photo.jpg": "tests/photos/chelsea.jpg",
}
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


def test_it_shows_a_recipe_of_each_task() -> None:
    assert {text.splitlines()[0] for text in RECIPES} == {'task = "detect"', 'task = "classify"'}


@pytest.mark.parametrize("text", PROGRAMS, ids=[text.splitlines()[0] for text in PROGRAMS])
def test_its_programs_run_and_nothing_warns(text: str, tmp_path: Path) -> None:
    for name, source in FILES.items():
        shutil.copyfile(ROOT / source, tmp_path / name)
    program = tmp_path / "program.py"
    program.write_text(BEFORE + text, encoding="utf-8")
    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
