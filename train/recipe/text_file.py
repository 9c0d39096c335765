"""Text files as people save them."""

import codecs
from pathlib import Path

# A longer mark comes first: UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, most_bytes: int) -> str:
    r"""Return the file's text with line ends \n: UTF-8 with or without a mark, UTF-16 and UTF-32 with one.

    OSError if it cannot be read; ValueError, a sentence without the path, if it is larger than `most_bytes`
    or in another encoding.
    """
    with path.open("rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes // 1_000_000} MB, the limit for such a file")
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        known = f"{encoding.upper()}: byte {data[error.start]:#04x} at {error.start}"
        raise ValueError(f"its text is not {known}; save it as UTF-8") from None
    if "\0" in text:
        raise ValueError(
            "its text holds NUL bytes, as UTF-16 without a byte order mark does; save it as UTF-8"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")
