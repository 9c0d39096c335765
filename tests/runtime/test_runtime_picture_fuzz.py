"""Spoilt pictures end in pixels or in a PictureError, soon and with little memory."""

from time import perf_counter

import cv2
import numpy as np

from tombola.errors import PictureError
from tombola.runtime.pictures.picture import read_rgb
from tombola.runtime.session.memory import own_peak_mib

MUTANTS = 2000
MOST_S, MOST_MIB = 2.0, 1024
FORMATS: list[tuple[str, list[int]]] = [
    (".jpg", []),
    (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
    (".png", []),
    (".webp", []),
    (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
    (".bmp", []),
    (".tif", []),
    (".tif", [cv2.IMWRITE_TIFF_COMPRESSION, 1]),
    (".gif", []),
]


def spoil(data: bytes, rng: np.random.Generator) -> bytes:
    """Change some bytes, most of them in the header; or cut, double or exchange a stretch."""
    spoilt = bytearray(data)
    for _ in range(int(rng.integers(1, 12))):
        reach = min(len(spoilt), 64 if rng.random() < 0.6 else len(spoilt))
        spoilt[int(rng.integers(reach))] = int(rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))]))
    start, stop = sorted(rng.integers(0, len(spoilt), 2).tolist())
    how = rng.random()
    if how < 0.15:
        del spoilt[start:stop]
    elif how < 0.3:
        spoilt[stop:stop] = spoilt[start:stop]
    elif how < 0.4:
        spoilt = spoilt[:stop]
    return bytes(spoilt)


def test_spoilt_pictures_are_read_or_refused() -> None:
    rng = np.random.default_rng(20)
    noise = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 3)
    good = [cv2.imencode(suffix, image, options)[1].tobytes() for image in (noise, soft)
            for suffix, options in FORMATS]  # fmt: skip
    read, refused, before_mib = 0, 0, own_peak_mib() or 0
    slowest_s = 0.0
    for number in range(MUTANTS):
        data = spoil(good[number % len(good)], rng)
        start = perf_counter()
        try:
            image_rgb_u8 = read_rgb(data)
        except PictureError:
            refused += 1
        else:
            read += 1
            assert image_rgb_u8.dtype == np.uint8
            assert image_rgb_u8.shape[2:] == (3,)
        slowest_s = max(slowest_s, perf_counter() - start)
    assert read > MUTANTS // 20
    assert refused > MUTANTS // 3
    assert slowest_s < MOST_S
    assert (own_peak_mib() or 0) - before_mib < MOST_MIB
