"""What a video file is by its first bytes, and whether it is as long as it says.

ffmpeg guesses formats by content, and some (ffconcat, HLS and DASH playlists, SDP) are lists that name other
files or addresses: only what is recognised here is given to it.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_BMFF_FIRST = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_PICTURE_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"})  # HEIF, which MP4 carries


def container(path: Path) -> str | None:
    """The name of the container that the file at `path` starts as, None where it is no video. OSError."""
    with path.open("rb") as file:
        return container_of(file.read(1024))


def container_of(head: bytes) -> str | None:
    """The name of the container that starts with `head`, of which 1,024 bytes are enough."""
    if head[4:8] in _BMFF_FIRST:
        return None if head[8:12] in _PICTURE_BRANDS else "MP4"
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVIX"):
        return "AVI"
    for name, magic in (
        ("Matroska", b"\x1a\x45\xdf\xa3"),
        ("MPEG", b"\x00\x00\x01\xba"),
        ("MPEG", b"\x00\x00\x01\xb3"),
        ("ASF", _ASF),
        ("FLV", b"FLV\x01"),
        ("GIF", b"GIF87a"),
        ("GIF", b"GIF89a"),
        ("Ogg", b"OggS"),
    ):
        if head.startswith(magic):
            return name
    return "MPEG-TS" if _ts_packet_bytes(head) else None


def is_whole(path: Path) -> bool:
    """Whether all bytes are there that the file's own structure tells of; True where it tells of none."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        kind = container_of(file.read(1024))
        file.seek(0)
        try:
            if kind == "MP4":
                return all(end <= size for _, _, end in _boxes(file, 0, size))
            if kind == "AVI":
                return _riff_is_whole(file, size)
            if kind == "Matroska":
                return _matroska_is_whole(file, size)
            if kind == "ASF":
                return _asf_is_whole(file, size)
            if kind == "FLV":
                return _flv_is_whole(file, size)
            if kind == "GIF":
                return _gif_is_whole(file)
            if kind == "MPEG-TS":
                return size % _ts_packet_bytes(file.read(1024)) == 0
        except (struct.error, IndexError):
            return False
    return True


def shows_all_frames(path: Path) -> bool:
    """Whether the count of frames that an MP4 stores is the count it shows: an edit list may leave some out.

    False for other containers, whose counts are estimates.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if container_of(file.read(1024)) != "MP4":
            return False
        try:
            for kind, start, end in _boxes(file, 0, size):
                if kind == b"moov":
                    return _edits_show_all(file, start, end)
        except (struct.error, IndexError, KeyError):
            pass
    return False


# ISO/IEC 14496-12: a box is its length (of 4 bytes; 1: 8 more follow; 0: to the end), its kind, its content.
def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start of the content and end of each box from `start` on; the last may end beyond `end`."""
    while start + 8 <= end:
        file.seek(start)
        length, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
            header = 16
        elif length == 0:
            length = end - start
        if length < header or not any(kind):  # zeros after the last box are padding
            return
        yield kind, start + header, start + length
        start += length


def _edits_show_all(file: BinaryIO, start: int, end: int) -> bool:
    moov = {kind: (begin, stop) for kind, begin, stop in _boxes(file, start, end)}
    if b"mvex" in moov:  # in fragments, which are not counted
        return False
    ticks_a_second, _ = _times(file, moov[b"mvhd"][0])
    for kind, begin, stop in _boxes(file, start, end):
        if kind != b"trak":
            continue
        trak = {kind: (begin, stop) for kind, begin, stop in _boxes(file, begin, stop)}
        mdia = {kind: (begin, stop) for kind, begin, stop in _boxes(file, *trak[b"mdia"])}
        file.seek(mdia[b"hdlr"][0] + 8)
        if file.read(4) != b"vide":
            continue
        if b"edts" not in trak:
            return True
        media_ticks_a_second, media_ticks = _times(file, mdia[b"mdhd"][0])
        edited_s = _edited_ticks(file, *trak[b"edts"]) / ticks_a_second
        return edited_s >= 0.99 * media_ticks / media_ticks_a_second
    return False


def _times(file: BinaryIO, start: int) -> tuple[int, int]:
    """Ticks a second, and duration in ticks, of a mvhd or mdhd box."""
    file.seek(start)
    data = file.read(32)
    layout, place = (">IQ", 20) if data[0] == 1 else (">II", 12)
    ticks_a_second, duration = struct.unpack_from(layout, data, place)
    return max(1, ticks_a_second), duration


def _edited_ticks(file: BinaryIO, start: int, end: int) -> int:
    total = 0
    for kind, begin, stop in _boxes(file, start, end):
        if kind == b"elst":
            file.seek(begin)
            data = file.read(min(stop - begin, 1 << 20))
            entry = struct.Struct(">Qqi" if data[0] == 1 else ">Iii")
            for place in range(8, len(data) - entry.size + 1, entry.size):
                ticks, media_time, _ = entry.unpack_from(data, place)
                total += ticks if media_time >= 0 else 0  # -1 is an empty stretch
    return total


def _riff_is_whole(file: BinaryIO, size: int) -> bool:
    position = 0
    while position + 12 <= size:
        file.seek(position)
        tag, length = struct.unpack("<4sI", file.read(8))
        if tag != b"RIFF":
            return True  # something after the last part
        position += 8 + length + length % 2
        if length == 0 or position > size + 1:
            return False
    return True


def _matroska_is_whole(file: BinaryIO, size: int) -> bool:
    position = 0
    while position < size:
        file.seek(position)
        head = file.read(12)
        id_bytes = 9 - head[0].bit_length()
        size_bytes = 9 - head[id_bytes].bit_length()
        value = int.from_bytes(head[id_bytes : id_bytes + size_bytes], "big") & ((1 << 7 * size_bytes) - 1)
        if id_bytes > 4 or size_bytes > 8:
            return True  # not an element: something after the last
        if value == (1 << 7 * size_bytes) - 1:  # unknown, as live streams have it
            return True
        position += id_bytes + size_bytes + value
    return position <= size


def _asf_is_whole(file: BinaryIO, size: int) -> bool:
    header = file.read(64 << 10)
    found = header.find(_ASF_FILE_PROPERTIES)
    return found < 0 or struct.unpack_from("<Q", header, found + 40)[0] <= size


def _flv_is_whole(file: BinaryIO, size: int) -> bool:
    (position,) = struct.unpack(">5xI", file.read(9))
    position += 4
    while position < size:
        file.seek(position)
        (kind_and_length,) = struct.unpack(">I", file.read(4))
        position += 11 + (kind_and_length & 0xFFFFFF) + 4
    return bool(position <= size)


def _gif_is_whole(file: BinaryIO) -> bool:
    head = file.read(13)
    file.seek(_colour_table_bytes(head[10]), os.SEEK_CUR)
    while kind := file.read(1):
        if kind == b";":
            return True
        if kind == b",":
            file.seek(_colour_table_bytes(file.read(9)[8]) + 1, os.SEEK_CUR)
        elif kind == b"!":
            file.seek(1, os.SEEK_CUR)
        else:
            return False
        while length := file.read(1)[0]:
            file.seek(length, os.SEEK_CUR)
    return False


def _colour_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _ts_packet_bytes(head: bytes) -> int:
    """Bytes of a transport stream's packet, 0 where `head` is none: each starts with 0x47."""
    for length, first in ((188, 0), (192, 4)):
        places = range(first, len(head), length)
        if len(places) >= 3 and all(head[place] == 0x47 for place in places):
            return length
    return 0
