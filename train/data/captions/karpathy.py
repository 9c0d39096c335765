"""Karpathy's JSON of captions: `images`, each with `filename`, `split` and `sentences` of `tokens`
(Karpathy & Fei-Fei 2015, their public files)."""

from pathlib import Path, PurePosixPath
from typing import Any

from tombola.errors import DataError
from tombola.train.data.captions.annotations import CaptionFile, CaptionReader
from tombola.train.data.captions.caption_set import Caption
from tombola.train.data.captions.json_file import read_json
from tombola.train.data.captions.words import split_words
from tombola.train.data.pictures.clips import open_clips
from tombola.train.data.text import quoted


def read(captions: Path, pictures: Path, split: str = "") -> CaptionFile:
    """Read the file with all its faults; split: the entries of that split alone, "" is all.

    Words are an entry's `tokens`, or those of `raw` where there are none. DataError only if it is not such a
    file at all.
    """
    content = read_json(captions)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError(f"{captions} has no list `images`, so it is not Karpathy's JSON; check the format")
    reader = CaptionReader(captions)
    for place, entry in enumerate(content["images"]):
        where = f"image {place}"
        if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
            reader.bad(where, "it has no filename")
        elif not split or entry.get("split") == split:
            folder = entry.get("filepath")
            name = PurePosixPath(folder if isinstance(folder, str) else "", entry["filename"]).as_posix()
            reader.add(name, _captions(entry.get("sentences"), f"{where} ({name[:80]})", reader))
    return reader.finish(open_clips(pictures))


def _captions(sentences: Any, where: str, reader: CaptionReader) -> list[Caption]:
    if not isinstance(sentences, list) or not sentences:
        reader.bad(where, f"its sentences are {quoted(sentences)}, not a list of some")
        return []
    captions = []
    for number, sentence in enumerate(sentences):
        at = f"{where}, sentence {number}"
        tokens = sentence.get("tokens") if isinstance(sentence, dict) else None
        raw = sentence.get("raw") if isinstance(sentence, dict) else None
        if isinstance(tokens, list) and all(isinstance(word, str) and word.strip() for word in tokens):
            caption = reader.words(tuple(tokens), at)
        elif tokens is None and isinstance(raw, str):
            caption = reader.words(split_words(raw), at)
        else:
            reader.bad(at, "it has neither tokens, a list of words, nor raw, a text")
            caption = None
        if caption is not None:
            captions.append(caption)
    return captions
