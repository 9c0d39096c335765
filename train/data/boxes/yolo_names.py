"""Class names of a YOLO data set, from data.yaml, classes.txt or obj.names; no YAML library is needed."""

import re
from pathlib import Path

YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml")
PLAIN_FILES = ("classes.txt", "obj.names")
NAME_FILES = YAML_FILES + PLAIN_FILES

_KEY = re.compile(r"^names[ \t]*:", re.MULTILINE)
_ITEM = re.compile(r"""(?:['"]?(\d+)['"]?\s*:\s*)?('[^']*'|"[^"]*"|[^,'"\s][^,\n]*)""")
_LINE = re.compile(r"""\s*(?:-|['"]?(\d+)['"]?\s*:)\s+(.+)""")


def find_names(labels: Path) -> dict[int, str]:
    """Return {number: name} from a names file in `labels` or one of the two folders above it, else {}."""
    for folder in (labels, *labels.resolve().parents[:2]):
        for name in NAME_FILES:
            path = folder / name
            if not path.is_file():
                continue
            text = path.read_text(encoding="utf-8-sig", errors="replace")
            names = yaml_names(text) if name in YAML_FILES else plain_names(text)
            if names:
                return names
    return {}


def plain_names(text: str) -> dict[int, str]:
    """Return the lines that are not empty, numbered from 0."""
    return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))


def yaml_names(text: str) -> dict[int, str]:
    """Return `names:` of a data.yaml by number: [a, b] or {0: a, 1: b}, or a line each, `- a` or `0: a`."""
    key = _KEY.search(text)
    if key is None:
        return {}
    rest = text[key.end() :].lstrip(" \t")
    if rest[:1] in ("[", "{"):
        inner = rest[1:].partition("]" if rest[0] == "[" else "}")[0]
        items = [(match[1], match[2]) for match in _ITEM.finditer(inner)]
    else:
        items = _block_items(rest)
    return {
        int(number) if number is not None else place: _scalar(value)
        for place, (number, value) in enumerate(items)
    }


def _block_items(rest: str) -> list[tuple[str | None, str]]:
    items = []
    for line in rest.splitlines()[1:]:
        match = _LINE.match(line)
        if match is not None:
            items.append((match[1], match[2]))
        elif line.strip() and not line.lstrip().startswith("#"):
            break
    return items


def _scalar(text: str) -> str:
    """Return a YAML scalar without its quotes, or without the comment behind it."""
    text = text.strip()
    if text[0] in "'\"" and text.find(text[0], 1) > 0:
        return text[1 : text.find(text[0], 1)]
    return text.split(" #")[0].strip()
