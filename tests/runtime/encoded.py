"""Encoded pictures, whole and odd, for tests."""

import struct
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# EXIF orientation -> how the stored rows and columns must be turned to stand upright (EXIF 2.3, tag 0x0112).
UPRIGHT: dict[int, Any] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored.swapaxes(0, 1)[::-1, ::-1],
    8: lambda stored: np.rot90(stored, 1),
}


def encode(image_rgb: NDArray[Any], suffix: str, *options: int) -> bytes:
    """Encode RGB, grey or RGBA of any depth that the format holds."""
    if image_rgb.ndim == 3:
        code = cv2.COLOR_RGB2BGR if image_rgb.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        image_rgb = cv2.cvtColor(image_rgb, code)
    ok, encoded = cv2.imencode(suffix, image_rgb, options)
    assert ok
    return encoded.tobytes()


def exif(orientation: int) -> bytes:
    """A TIFF structure, big-endian, of one tag."""
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + b"\0\0\0\0"


def with_exif(encoded: bytes, orientation: int) -> bytes:
    """Put the orientation into a JPEG (APP1) or a PNG (eXIf after the header)."""
    content = exif(orientation)
    if encoded.startswith(b"\xff\xd8"):
        return (
            encoded[:2]
            + b"\xff\xe1"
            + struct.pack(">H", len(content) + 8)
            + b"Exif\0\0"
            + content
            + encoded[2:]
        )
    chunk = b"eXIf" + content
    return (
        encoded[:33]
        + struct.pack(">I", len(content))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + encoded[33:]
    )


def png_header(width: int, height: int) -> bytes:
    """A PNG of that size by its header, with no pixels behind it."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def difference(one: NDArray[Any], other: NDArray[Any]) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())
