"""Class names of a YOLO data set, from data.yaml, classes.txt or obj.names."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from tombola.errors import DataError
from tombola.train.data.text import quoted, whole
from tombola.train.recipe.text_file import read_text

YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
PLAIN_FILES = ("classes.txt", "obj.names")
NAME_FILES = YAML_FILES + PLAIN_FILES
MOST_BYTES = 8_000_000
MOST_NAMES = 100_000


@dataclass(frozen=True)
class YoloNames:
    """names: {number: name}. kpt_shape: key points a line, and numbers each; None if it does not say."""

    names: dict[int, str]
    kpt_shape: tuple[int, int] | None = None


def find_names(labels: Path) -> YoloNames:
    """Return what the names files in `labels` and the two folders above it say.

    DataError names a file that cannot be read, is no YAML, contradicts itself (`nc`) or another such file.
    """
    found: dict[Path, YoloNames] = {}
    for folder in (labels, *labels.resolve().parents[:2]):
        for name in NAME_FILES:
            if (folder / name).is_file():
                found[folder / name] = read_names(folder / name)
    named = {path: one.names for path, one in found.items() if one.names}
    first = next(iter(named), None)
    for path, names in named.items():
        if first is not None and names != named[first]:
            number = min(set(names.items()) ^ set(named[first].items()))[0]
            raise DataError(
                f"{first} and {path} disagree: class {number} is {quoted(named[first].get(number))} in one "
                f"and {quoted(names.get(number))} in the other; correct or remove one of them"
            )
    shapes = [one.kpt_shape for one in found.values() if one.kpt_shape is not None]
    return YoloNames(named[first] if first is not None else {}, shapes[0] if shapes else None)


def read_names(path: Path) -> YoloNames:
    """Return what a names file says. DataError if it cannot be read or contradicts itself."""
    try:
        text = read_text(path, MOST_BYTES)
        found = yaml_names(text) if path.suffix.lower() in (".yaml", ".yml") else YoloNames(plain_names(text))
        if len(found.names) > MOST_NAMES:
            raise ValueError(f"it names {len(found.names)} classes, more than {MOST_NAMES}")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; make it readable") from error
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    return found


def plain_names(text: str) -> dict[int, str]:
    """Return the lines that are not empty, numbered from 0."""
    return dict(enumerate(line.strip() for line in text.split("\n") if line.strip()))


def yaml_names(text: str) -> YoloNames:
    """Return `names` of a data.yaml, a list or a map by number, as written: `no` is a name, not false.

    `nc` must be the count of names, `kpt_shape` two numbers. ValueError says what is wrong.
    """
    table = yaml_table(text)
    names = _names(table["names"]) if "names" in table else {}
    if "nc" in table:
        try:
            count = whole(scalar(table["nc"]))
        except ValueError as error:
            raise ValueError(f"nc: {error}") from None
        if names and count not in (len(names), max(names) + 1):
            raise ValueError(f"nc is {count}, but there are {len(names)} names; correct one of them")
    shape = None
    if "kpt_shape" in table:
        try:
            points, each = (whole(scalar(one)) for one in items(table["kpt_shape"]))
        except ValueError as error:
            raise ValueError(f"kpt_shape should be two numbers, as [17, 3]: {error}") from None
        shape = points, each
    return YoloNames(names, shape)


def yaml_table(text: str) -> dict[str, yaml.Node]:
    """Return the outermost table of a YAML text, its values as nodes. ValueError if it is none."""
    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(f"it is not valid YAML: {' '.join(str(error).split())}; correct it") from None
    return _pairs(root) if root is not None else {}


def _pairs(node: yaml.Node) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise ValueError("a table of `key: value` is expected; correct it")
    table: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = scalar(key)
        if name in table:
            raise ValueError(f"the key {quoted(name)} is there twice; remove one")
        table[name] = value
    return table


def items(node: yaml.Node) -> list[yaml.Node]:
    """Return the items of a list. ValueError if it is none."""
    if not isinstance(node, yaml.SequenceNode):
        raise ValueError("a list is expected")
    return list(node.value)


def scalar(node: yaml.Node) -> str:
    """Return a single value as written. ValueError for a list or table."""
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError("a single value is expected, not a list or table")
    return str(node.value)


def _names(node: yaml.Node) -> dict[int, str]:
    if isinstance(node, yaml.ScalarNode) and not node.value:
        return {}
    try:
        if isinstance(node, yaml.MappingNode):
            names: dict[int, str] = {}
            for key, value in _pairs(node).items():
                if whole(key) in names:
                    raise ValueError(f"number {quoted(key)} is there twice")
                names[whole(key)] = scalar(value).strip()
        else:
            names = {place: scalar(value).strip() for place, value in enumerate(items(node))}
    except ValueError as error:
        raise ValueError(f"names should be a list, or a table of numbers and names: {error}") from None
    empty = [number for number, name in names.items() if not name]
    if empty:
        raise ValueError(f"the name of class {empty[0]} is empty; name it")
    return names
