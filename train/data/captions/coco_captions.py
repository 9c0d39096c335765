"""COCO's JSON of captions: `images` with id and file_name, `annotations` with image_id and caption (Chen et
al. 2015)."""

from pathlib import Path

from tombola.errors import DataError
from tombola.train.data.captions.annotations import CaptionFile, CaptionReader
from tombola.train.data.captions.json_file import read_json
from tombola.train.data.captions.words import split_words
from tombola.train.data.pictures.clips import open_clips
from tombola.train.data.text import quoted


def read(captions: Path, pictures: Path, split: str = "") -> CaptionFile:
    """Read the file with all its faults; it has no splits. DataError only if it is not such a file at all."""
    content = read_json(captions)
    for key in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"{captions} has no list {key!r}, so it is not COCO's captions; check the format")
    reader = CaptionReader(captions, split)
    names: dict[int | str, str] = {}
    for place, image in enumerate(content["images"]):
        if (
            not isinstance(image, dict)
            or not isinstance(image.get("file_name"), str)
            or not isinstance(image.get("id"), int | str)
        ):
            reader.bad(f"image {place}", "it has no file_name or no id")
        else:
            names[image["id"]] = image["file_name"]
    for place, entry in enumerate(content["annotations"]):
        where = f"annotation {place}"
        image_id = entry.get("image_id") if isinstance(entry, dict) else None
        if not isinstance(image_id, int | str) or not isinstance(entry.get("caption"), str):
            reader.bad(where, "it has no image_id or no caption")
        elif image_id not in names:
            reader.bad(where, f"its image_id {quoted(image_id)} is not among the images")
        else:
            reader.add_one(names[image_id], split_words(entry["caption"]), where)
    return reader.finish(open_clips(pictures))
