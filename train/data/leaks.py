"""Pictures that are in two sets of a data set: what a network has seen in training, it is not tested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.train.data.finding import Finding, Kind

# Smaller pictures look alike without being so: digits, icons.
LEAST_SIDE_PX = 64
MOST_BITS = 3  # of the 64 of a hash, that may differ
MOST_LEVELS = 6.0  # of 255, mean difference of two thumbnails
THUMBNAIL_PX = 16


@dataclass(frozen=True)
class Look:
    """What is kept of a picture to know it again.

    digest           of its bytes or pixels
    hash_bits        uint64: whether each of 8 × 8 fields is brighter than the one to its right
    thumbnail_rgb    float32 [16, 16, 3] in 0 … 255; None if the picture is too small to compare
    """

    name: str
    digest: bytes
    hash_bits: int
    thumbnail_rgb: NDArray[np.float32] | None


def look(name: str, digest: bytes, image_rgb_u8: NDArray[np.uint8]) -> Look:
    """Return what is kept of image_rgb_u8 [h, w, 3]."""
    if min(image_rgb_u8.shape[:2]) < LEAST_SIDE_PX:
        return Look(name, digest, 0, None)
    thumbnail = cv2.resize(image_rgb_u8, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    fields = cv2.resize(cv2.cvtColor(image_rgb_u8, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA)
    bits = np.packbits(fields[:, 1:] < fields[:, :-1]).tobytes()
    return Look(name, digest, int.from_bytes(bits, "big"), thumbnail.astype(np.float32))


def find_leaks(sets: Mapping[str, Sequence[Look]]) -> list[Finding]:
    """Return a finding per picture that an earlier set holds too: the same bytes, or a near twin (the same
    photo, saved anew, resized or slightly changed)."""
    findings = []
    same: dict[bytes, tuple[str, Look]] = {}
    alike: dict[tuple[int, int], list[tuple[str, Look]]] = {}
    for split, looks in sets.items():
        for one in looks:
            twin = same.get(one.digest)
            kind, how = Kind.IN_TWO_SETS, "the same picture as"
            if twin is None or twin[0] == split:
                twin, kind, how = _near(one, alike), Kind.NEAR_TWIN, "nearly the same picture as"
            if twin is not None:
                cure = "keep it in one of the two sets: the score would be too good"
                what = f"{how} {twin[1].name} of {twin[0]}"
                findings.append(Finding(kind, f"{split}: {one.name}", what, cure))
        for one in looks:
            same.setdefault(one.digest, (split, one))
            if one.thumbnail_rgb is not None:
                for key in _quarters(one.hash_bits):
                    alike.setdefault(key, []).append((split, one))
    return findings


def _quarters(bits: int) -> list[tuple[int, int]]:
    # Hashes that differ in three bits are equal in one of four quarters.
    return [(place, bits >> 16 * place & 0xFFFF) for place in range(4)]


def _near(one: Look, alike: Mapping[tuple[int, int], list[tuple[str, Look]]]) -> tuple[str, Look] | None:
    if one.thumbnail_rgb is None:
        return None
    for key in _quarters(one.hash_bits):
        for where, other in alike.get(key, ()):
            if (one.hash_bits ^ other.hash_bits).bit_count() > MOST_BITS or other.thumbnail_rgb is None:
                continue
            if np.abs(one.thumbnail_rgb - other.thumbnail_rgb).mean() <= MOST_LEVELS:
                return where, other
    return None
