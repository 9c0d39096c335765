"""Where the files of a plain tar lie in it."""

import re
import tarfile
from pathlib import Path
from typing import IO

from tombola.errors import DataError

MOST_MEMBERS = 20_000_000
MOST_HEADER_BYTES = 1 << 16
BLOCK_BYTES = 512
# "27 path=…\n": the length of the record in bytes, itself included.
_PAX_LENGTH = re.compile(rb"(\d{1,7}) ")


def read_tar_index(path: Path) -> dict[str, tuple[int, int]]:
    """Return {name: (offset, size)} in bytes for the plain files of the tar; a hard link is its file.

    DataError if the file is no plain tar, or damaged.
    """
    places: dict[str, tuple[int, int]] = {}
    try:
        with path.open("rb") as file, tarfile.open(fileobj=_Headers(file), mode="r:") as tar:  # type: ignore[call-overload]
            before = -1
            for count, member in enumerate(tar):
                if member.offset <= before or count >= MOST_MEMBERS:
                    raise DataError(f"{path} is damaged: its members run in a circle; copy it again")
                before = member.offset
                name = member.name.removeprefix("./")
                if member.islnk() and member.linkname.removeprefix("./") in places:
                    places[name] = places[member.linkname.removeprefix("./")]
                elif member.isreg() and not member.issparse():
                    places[name] = (member.offset_data, member.size)
            # tarfile takes a damaged header for the end.
            file.seek(tar.offset)
            if file.read(BLOCK_BYTES).strip(b"\0"):
                raise DataError(f"{path} is damaged at byte {tar.offset}; copy or pack it again")
    except DataError:
        raise
    except Exception as error:  # a damaged tar may raise anything
        raise DataError(
            f"{path} cannot be read as a tar: {error}; pack it plain, without compression: tar -cf"
        ) from error
    return places


class _Headers:
    """A tar file of which only headers are read, and none that is large or built to stall its reader."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, count: int) -> bytes:
        if not 0 <= count <= MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {count} bytes")
        data = self._file.read(count)
        if count > BLOCK_BYTES:
            _check_extended(data)
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def _check_extended(data: bytes) -> None:
    """tarfile.ReadError for an extended header that would keep tarfile busy for hours: it searches runs of
    digits, and keywords without end, again and again."""
    if any(len(run) > 1000 for run in re.findall(rb"\d+", data)):
        raise tarfile.ReadError("a header of digits")
    place = 0
    while (length := _PAX_LENGTH.match(data, place)) is not None:
        record = data[place : place + int(length[1])]
        if b"=" not in record or not record.endswith(b"\n"):
            raise tarfile.ReadError("a damaged PAX header")
        place += len(record)
