"""The bounding box of a COCO segmentation: polygons, or runs of pixels (RLE), plain or packed."""

from collections.abc import Iterator

from tombola.train.data.text import number, quoted, whole

Box = tuple[float, float, float, float]
MOST_RUNS = 10_000_000


def bounding_box(segmentation: object) -> Box:
    """Return x1 y1 x2 y2 in pixels. ValueError says what is wrong with the segmentation."""
    if isinstance(segmentation, dict):
        return _box_of_runs(segmentation)
    if not isinstance(segmentation, list):
        raise ValueError(f"segmentation is {quoted(segmentation)}, neither polygons nor runs")
    polygons = segmentation if isinstance(segmentation[0], list) else [segmentation]
    xs: list[float] = []
    ys: list[float] = []
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"segmentation holds {quoted(polygon)}; a polygon needs pairs x, y of 3 corners")
        try:
            values = [number(value) for value in polygon]
        except ValueError as error:
            raise ValueError(f"segmentation: {error}") from None
        xs += values[0::2]
        ys += values[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _box_of_runs(runs: dict[str, object]) -> Box:
    """Runs count pixels down the columns, first outside, then inside, in turn (pycocotools' mask API)."""
    size, counts = runs.get("size"), runs.get("counts")
    if not isinstance(size, list) or len(size) != 2:
        raise ValueError(f"segmentation.size is {quoted(size)}, not [height, width]")
    height, width = whole(size[0]), whole(size[1])
    if not isinstance(counts, list | str) or len(counts) > MOST_RUNS:
        raise ValueError(f"segmentation.counts is {quoted(counts)}, not runs of pixels")
    lengths = _unpacked(counts) if isinstance(counts, str) else map(whole, counts)
    x1, y1, x2, y2 = width, height, 0, 0
    start = 0
    for place, length in enumerate(lengths):
        end = start + length
        if length < 0 or end > height * width:
            raise ValueError(f"segmentation.counts do not fit its size {height}×{width}")
        if place % 2 and length:
            first, last = start // height, (end - 1) // height
            x1, x2 = min(x1, first), max(x2, last + 1)
            y1 = min(y1, start % height if first == last else 0)
            y2 = max(y2, (end - 1) % height + 1 if first == last else height)
        start = end
    if not x2:
        raise ValueError("segmentation holds not one pixel")
    return float(x1), float(y1), float(x2), float(y2)


def _unpacked(text: str) -> Iterator[int]:
    """pycocotools' packing: 5 bits a letter from "0" on, bit 6 goes on; from the fourth run on it is the
    difference to the last but one."""
    lengths: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter) - 48
        if not 0 <= code < 64 or shift > 40:
            raise ValueError(f"segmentation.counts holds {quoted(letter)}")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        if len(lengths) > 2:
            value += lengths[-2]
        lengths.append(value)
        yield value
        value = shift = 0
