"""Numbers, flags and names as annotation tools write them, and how messages quote them."""

import math
import reprlib
import unicodedata
from collections.abc import Sequence

_TRUE = frozenset({"1", "1.0", "true", "yes", "y", "t", "on"})
_FALSE = frozenset({"0", "0.0", "false", "no", "n", "f", "off", "", "none", "null", "unspecified"})
LONGEST_NUMBER = 64
LONGEST_NAME = 80
MOST_NUMBER = 2**53
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxlist, _BRIEF.maxdict, _BRIEF.maxstring, _BRIEF.maxother = 2, 8, 4, 80, 80


def number(value: object) -> float:
    """Return a number, or the number that a text says, maybe NaN or infinite. ValueError names the value."""
    is_text = isinstance(value, str) and len(value) <= LONGEST_NUMBER and "_" not in value
    if is_text or (isinstance(value, int | float) and not isinstance(value, bool)):
        try:
            return float(value)  # type: ignore[arg-type]  # narrowed above
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"{quoted(value)} is not a number")


def whole(value: object) -> int:
    """Return a whole number from 0 in any notation: 3, "3", "3.0", "3e0". ValueError names the value."""
    try:
        found = number(value)
    except ValueError:
        found = math.nan
    if not (0 <= found < MOST_NUMBER and found == int(found)):
        raise ValueError(f"{quoted(value)} is not a whole number from 0")
    return int(found)


def flag(value: object) -> bool:
    """Return what a flag says, as a number, a word or nothing. ValueError names a value that is neither."""
    word = ""
    if isinstance(value, str):
        word = value.strip().lower()
    elif value is not None:
        word = str(value).lower() if isinstance(value, int | float) and value in (0, 1) else "?"
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{quoted(value)} is neither true nor false")
    return word in _TRUE


def composed(name: str) -> str:
    """Return the name in Unicode's composed form: macOS stores é as two signs, others as one."""
    return unicodedata.normalize("NFC", name)


def quoted(value: object) -> str:
    """Return a value for a message, as Python writes it, cut to what a line holds."""
    try:
        return _BRIEF.repr(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return "a number of thousands of digits"


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return the names for a message, the first `most` of them."""
    shown = ", ".join(name[:LONGEST_NAME] for name in names[:most]) or "(none)"
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
