"""What is in captioned sets and everything that is wrong with them, at one look at all their pictures."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from tombola.errors import DataError, PictureError
from tombola.train.data.captions.annotations import CaptionFile
from tombola.train.data.captions.caption_set import CaptionedPicture, clip_of
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.fold import kept_ranks
from tombola.train.data.leaks import Look, find_leaks, look
from tombola.train.data.pictures.clips import side_by_side
from tombola.train.data.pictures.pictures import decode_rgb


@dataclass(frozen=True)
class Part:
    """A file of captions as one set uses it: the pictures, or clips, for which every fold holds."""

    split: str
    file: CaptionFile
    folds: tuple[str, ...] = ()
    of_clips: bool = False


def look_at_parts(parts: Sequence[Part]) -> tuple[list[tuple[str, str]], list[Finding]]:
    """Return table rows (what, value) for each part, and every fault: of each, and pictures that two sets
    share. All pictures are decoded. DataError if folds leave nothing."""
    rows: list[tuple[str, str]] = []
    findings: list[Finding] = []
    looks: dict[str, list[Look]] = {}
    for part in parts:
        records = part.file.records
        if part.folds:
            records = tuple(records[rank] for rank in kept_ranks(len(records), part.folds))
        own, faults = _look_at(replace(part.file, records=records), of_clips=part.of_clips)
        named = f"{part.split}: " if part.split else ""
        findings += [replace(one, where=named + one.where) for one in faults]
        rows += [*([(f"{part.split}:", "")] if part.split else []), *_rows(records, part.of_clips)]
        looks.setdefault(part.split, []).extend(own)
    return rows, findings + find_leaks(looks)


def _rows(records: Sequence[CaptionedPicture], of_clips: bool) -> list[tuple[str, str]]:
    captions = [caption for record in records for caption in record.captions]
    words = Counter(word for caption in captions for word in caption)
    lengths = [len(caption) for caption in captions] or [0]
    frequent = sum(count >= 5 for count in words.values())
    return [
        ("clips" if of_clips else "pictures", str(len(records))),
        ("captions", str(len(captions))),
        (
            "words a caption, fewest / median / most",
            f"{min(lengths)} / {np.median(lengths):g} / {max(lengths)}",
        ),
        ("different words", f"{len(words)}, {frequent} of them 5 times or more"),
    ]


def _look_at(file: CaptionFile, *, of_clips: bool) -> tuple[list[Look], list[Finding]]:
    findings = file.faults()

    def see(record: CaptionedPicture) -> Look | Finding:
        name = record.file_name
        try:
            if of_clips:
                image_rgb_u8 = side_by_side(clip_of(record))
                return look(name, hashlib.sha256(image_rgb_u8.tobytes()).digest(), image_rgb_u8)
            data = file.pictures.read_bytes(name)
            return look(name, hashlib.sha256(data).digest(), decode_rgb(data, name))
        except (DataError, PictureError) as error:
            what = str(error).removeprefix(f"{record.path}: ").removeprefix(f"{name}: ")
            return Finding(Kind.UNREADABLE_PICTURE, name, what, "replace or remove it")

    there = {one.file_name: one for one in file.records if one.file_name in file.pictures}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        seen = list(threads.map(see, there.values()))
    findings += [one for one in seen if isinstance(one, Finding)]
    return [one for one in seen if isinstance(one, Look)], findings
