"""Plain aligned text for a terminal of any width."""

import shutil
import sys
from collections.abc import Sequence

GAP = "  "
SHORTEST = 6  # columns that a shortened cell keeps


def one_line(text: str) -> str:
    """`text` without line breaks and control characters, so that a name cannot steer the terminal.

    White space becomes one space; other unprintable characters are shown as escapes.
    """
    text = " ".join(text.split())
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def counted(count: int, thing: str) -> str:
    """`1 fault`, `2 faults`."""
    return f"{count} {thing}" + ("" if count == 1 else "s")


def width(text: str) -> int:
    """Terminal columns that `text` takes: two for East Asian wide letters, none for combining marks."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(letter) else 1 + (east_asian_width(letter) in "WF") for letter in text)


def shorten(text: str, columns: int) -> str:
    """`text` cut to at most `columns` terminal columns, ending in an ellipsis when it was cut."""
    if width(text) <= columns:
        return text
    kept = ""
    for letter in text:
        if width(kept + letter) > columns - 1:
            break
        kept += letter
    return kept + "…"


def terminal_columns() -> int | None:
    """Columns of the terminal that stdout is, None where it is a file or a pipe."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return shutil.get_terminal_size().columns if is_terminal else None


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    align: str,
    *,
    indent: str = "",
    columns: int | None = None,
) -> list[str]:
    """Lines of an aligned table, header first.

    align: one letter a column, `<` or `>`. Where the table is wider than `columns` its `<` columns
    are shortened, the widest first. An empty header prints none.
    """
    cells = [[one_line(cell) for cell in row] for row in ([header] if any(header) else []) + list(rows)]
    widths = [max((width(row[place]) for row in cells), default=0) for place in range(len(align))]
    if columns is not None:
        _squeeze(widths, align, columns - width(indent) - len(GAP) * (len(align) - 1))
    return [(indent + GAP.join(map(_pad, row, widths, align))).rstrip() for row in cells]


def _squeeze(widths: list[int], align: str, room: int) -> None:
    while sum(widths) > room:
        text = [place for place, side in enumerate(align) if side == "<" and widths[place] > SHORTEST]
        if not text:
            return
        widths[max(text, key=widths.__getitem__)] -= 1


def _pad(cell: str, columns: int, side: str) -> str:
    cell = shorten(cell, columns)
    blank = " " * (columns - width(cell))
    return blank + cell if side == ">" else cell + blank


def wrap(text: str, *, indent: str = "", columns: int | None = None) -> list[str]:
    """`text` broken at spaces into lines that fit, at least one; every line starts with `indent`."""
    if columns is None:
        return [indent + text]
    first, *words = text.split() or [""]
    lines = [indent + first]
    for word in words:
        if width(lines[-1]) + 1 + width(word) <= columns:
            lines[-1] += f" {word}"
        else:
            lines.append(indent + word)
    return lines
