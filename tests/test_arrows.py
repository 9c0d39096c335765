"""Who may import whom. The map is in CONTRIBUTING.md; this test holds the code to it."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("train", "export", "runtime", "cli")

# What each of the four may import beside itself and the errors. train reads pictures as the runtime does.
FOUR = {
    "cli": {"train", "export", "runtime", ""},
    "export": {"train", "runtime", ""},
    "train": {"runtime.pictures", "runtime.clips", ""},
    "runtime": set[str](),
}
# What all may import: how to fail, and how to tell where long work stands.
SHARED = ("errors", "terminal_line")
# Inside train an arrow points down: to a room of a lower number, or stays in its room.
HEIGHT = {
    "recipe": 1,
    "recipes": 0,
    "download": 0,
    "resize": 1,
    "networks": 2,
    "data": 2,
    "metrics": 2,
    "run": 2,
    "drawing": 3,
    "start": 3,
    "regions": 3,
    "tasks": 4,
    "loop": 5,
    "doctor": 6,
    "init": 6,
    "search": 6,
    "prune": 6,
    "studies": 7,
    "": 8,  # train.py, evaluate.py: the tops of commands
}
# Arrows that still point the wrong way. None may be added; whoever turns one takes it out.
EXCEPTIONS = set[tuple[str, str]]()
CIRCLES = set[tuple[str, str]]()


def modules() -> dict[str, Path]:
    """Dotted names without "tombola." -> files; a package goes by its own name."""
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The project's modules that a file imports, anywhere in it; "" is the public face."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "tombola":
                inner = name.removeprefix("tombola").removeprefix(".")
                yield inner if inner in known else inner.rpartition(".")[0]


def room_of(module: str) -> str:
    """The room inside train: "train.loop.loop" -> "loop", "train.evaluate" -> ""."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 or (ROOT / "train" / parts[-1]).is_dir() else ""


def is_allowed(source: str, target: str) -> bool:
    if target in (*SHARED, source):
        return True
    top, other = source.split(".")[0], target.split(".")[0]
    if top != other:
        return any(f"{target}.".startswith(f"{allowed}.") or allowed == target for allowed in FOUR[top])
    if top != "train":
        return True
    here, there = room_of(source), room_of(target)
    return here == there or HEIGHT[there] < HEIGHT[here]


def test_arrows_point_one_way() -> None:
    known = modules()
    found = {(source, target) for source, path in known.items() for target in imports(path, known)}
    wrong = {arrow for arrow in found if not is_allowed(*arrow)}
    assert sorted(wrong - EXCEPTIONS) == [], "these imports point the wrong way; see CONTRIBUTING.md"
    assert sorted(EXCEPTIONS - wrong) == [], "these exceptions are mended: take them out of the list"


def test_the_rule_itself() -> None:
    assert is_allowed("cli.main", "train.loop.loop")
    assert is_allowed("train.data.boxes.coco", "runtime.pictures.picture")
    assert not is_allowed("train.data.boxes.coco", "runtime.session.session")
    assert not is_allowed("runtime.load", "train.recipe.recipe")
    assert not is_allowed("train.loop.loop", "train.doctor.report")
    assert is_allowed("train.doctor.report", "train.loop.loop")


def test_no_two_rooms_lean_on_each_other() -> None:
    known = modules()
    folders: dict[str, set[str]] = {}
    for source, path in known.items():
        for target in imports(path, known):
            here, there = (name.rpartition(".")[0] for name in (source, target))
            if here and there and here != there and not f"{there}.".startswith(f"{here}."):
                folders.setdefault(here, set()).add(there)
    circles = {
        (min(here, there), max(here, there))
        for here, targets in folders.items()
        for there in targets
        if here in folders.get(there, ())
    }
    assert sorted(circles - CIRCLES) == [], "these rooms import each other"
    assert sorted(CIRCLES - circles) == [], "these circles are mended: take them out of the list"
