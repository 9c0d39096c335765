import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tombola
from tombola.runtime.load import inspect_model

ROOT = Path(__file__).parents[1]
ROOMS = ("train", "export", "runtime", "cli")
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def folders_of_python() -> list[Path]:
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    return sorted(folder.relative_to(ROOT) for folder in folders)


def test_every_folder_is_packaged() -> None:
    wanted = [f"tombola.{'.'.join(folder.parts)}" for folder in folders_of_python()]
    assert SETUPTOOLS["packages"] == ["tombola", *sorted(wanted, key=_in_order)]
    assert SETUPTOOLS["package-dir"] == {"tombola": "tombola", **{f"tombola.{room}": room for room in ROOMS}}


def _in_order(package: str) -> tuple[int, list[str]]:
    _, room, *parts = package.split(".")
    return ROOMS.index(room), parts


def test_rooms_are_linked_for_type_checkers_and_editable_installs() -> None:
    assert [(ROOT / "tombola" / room).resolve() for room in ROOMS] == [ROOT / room for room in ROOMS]


def test_every_folder_is_a_package() -> None:
    assert [folder for folder in folders_of_python() if not (ROOT / folder / "__init__.py").exists()] == []


def test_the_public_face_is_what_it_says() -> None:
    assert tombola.__all__ == sorted(tombola.__all__)
    for name in tombola.__all__:
        assert getattr(tombola, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'detect'"):
        _ = tombola.detect


def test_what_programs_may_use_is_all_that_is_listed() -> None:
    assert dir(tombola) == sorted([*tombola.__all__, "__version__"])


@pytest.mark.parametrize(
    "model", sorted((ROOT / "runtime" / "models").glob("*.onnx")), ids=lambda path: path.stem
)
def test_files_that_ship_run_on_the_oldest_onnxruntime_of_the_readme(model: Path) -> None:
    _, graph = inspect_model(model)
    assert f"onnxruntime {graph.oldest_onnxruntime}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == tombola.__version__


def test_the_lean_distribution_differs_in_two_wheels_alone() -> None:
    full, lean = (tomllib.loads((ROOT / place / "pyproject.toml").read_text()) for place in (".", "lean"))
    assert lean["project"]["scripts"] == full["project"]["scripts"]
    assert lean["project"]["requires-python"] == full["project"]["requires-python"]
    assert lean["tool"]["setuptools"]["package-data"] == full["tool"]["setuptools"]["package-data"]
    wheels = {one.split(";")[0] for one in full["project"]["dependencies"]}
    smaller = {one.replace("-gpu", "").replace("opencv-python", "opencv-python-headless") for one in wheels}
    assert set(lean["project"]["dependencies"]) == smaller


def test_files_that_ship_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (ROOT / "runtime" / "models").glob("*.onnx")}
    assert sizes
    assert max(sizes.values()) < 15 * 2**20
    assert sum(sizes.values()) < 40 * 2**20


@pytest.mark.parametrize("room", ["tombola", "tombola.train", "tombola.train.recipe.recipe"])
def test_rooms_do_not_pull_in_the_runtime(room: str) -> None:
    code = f"import sys, {room}; print([m for m in ('onnxruntime', 'cv2', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
