"""A picture's size as its annotation says it, held to the picture itself."""

from tombola.errors import DataError, PictureError
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.pictures.picture_header import read_size_hw
from tombola.train.data.pictures.pictures import PictureStore


def checked_size_hw(
    store: PictureStore,
    file_name: str,
    where: str,
    written_hw: tuple[float, float] | None,
    findings: list[Finding],
) -> tuple[int, int] | None:
    """Return the upright picture's height and width in pixels, None if it is missing or cannot be read.

    What it cannot read, and a size that differs from `written_hw`, goes into `findings`.
    """
    if file_name not in store:
        return None
    try:
        size_hw = read_size_hw(store, file_name)
    except (DataError, PictureError) as error:
        findings.append(Finding(Kind.UNREADABLE_PICTURE, file_name, str(error), "replace or remove it"))
        return None
    if written_hw is not None and written_hw != size_hw:
        findings.append(size_differs(file_name, where, written_hw, size_hw))
    return size_hw


def size_differs(
    file_name: str, where: str, written_hw: tuple[float, float], size_hw: tuple[int, int]
) -> Finding:
    """The finding of a picture of another size than its annotation says."""
    cure = "label this copy of the picture, or put the labelled one in its place"
    if size_hw == written_hw[::-1]:
        cure = "the photo is turned by its EXIF tag and was labelled lying: turn its boxes, or its pixels"
    what = f"{file_name} is {size_hw[1]}×{size_hw[0]} px, annotated as {written_hw[1]:g}×{written_hw[0]:g}"
    return Finding(Kind.SIZE_DIFFERS, where, what, cure)
