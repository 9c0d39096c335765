"""Selective search (Uijlings et al. 2013): boxes that may hold an object, from a picture's own segments.

Felzenszwalb & Huttenlocher's segmentation (2004) gives small regions; the two most alike of all neighbours
are joined, again and again, until one is left. Each region that ever was gives its box. Several colour
spaces, scales and measures of likeness make the set richer.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError

MOST_PROPOSALS = 2000  # a picture, as R-CNN takes them (Girshick et al. 2014)
SCALES = (50, 100)  # Felzenszwalb's k; also the least area of a first segment, in pixels
SMOOTHING_PX = 0.8
COLOUR_BINS = 25
TEXTURE_BINS = 10
TEXTURE_ANGLES = 8
SMALLEST_SIDE_PX = 4  # smaller boxes are dropped


@dataclass
class Regions:
    """All regions of one hierarchy, the first segments first, each later one the union of two.

    colour float32 [r, 75] and texture float32 [r, 240] are histograms that sum to 1; size int64 [r] in
    pixels; boxes int64 [r, 4] as x1 y1 x2 y2. area: the picture's pixels. has_colour: whether likeness counts
    colour and texture or texture alone.
    """

    colour: NDArray[np.float32]
    texture: NDArray[np.float32]
    size: NDArray[np.int64]
    boxes: NDArray[np.int64]
    area: int
    has_colour: bool

    def likeness(self, i: int, j: int) -> float:
        """Colour + texture + size + fill (Uijlings et al. 2013, equations 1 to 6), each 0 … 1."""
        box_i, box_j = self.boxes[i], self.boxes[j]
        width = max(box_i[2], box_j[2]) - min(box_i[0], box_j[0])
        height = max(box_i[3], box_j[3]) - min(box_i[1], box_j[1])
        both = int(self.size[i] + self.size[j])
        texture = float(np.minimum(self.texture[i], self.texture[j]).sum())
        colour = float(np.minimum(self.colour[i], self.colour[j]).sum()) if self.has_colour else 0.0
        return colour + texture + (1 - both / self.area) + (1 - (int(width * height) - both) / self.area)

    def join(self, i: int, j: int, into: int) -> None:
        """Write the union of regions i and j to row `into`; histograms are the means by size."""
        share = self.size[i] / (self.size[i] + self.size[j])
        for histogram in (self.colour, self.texture):
            histogram[into] = share * histogram[i] + (1 - share) * histogram[j]
        self.size[into] = self.size[i] + self.size[j]
        self.boxes[into, :2] = np.minimum(self.boxes[i, :2], self.boxes[j, :2])
        self.boxes[into, 2:] = np.maximum(self.boxes[i, 2:], self.boxes[j, 2:])


def selective_search(
    image_rgb_u8: NDArray[np.uint8], *, most: int = MOST_PROPOSALS, seed: int = 0
) -> NDArray[np.float32]:
    """Proposals for one picture, uint8 [h, w, 3] -> float32 [n, 4], n <= most, x1 y1 x2 y2 in its pixels.

    Best first: late unions before early ones, with some chance so that no strategy crowds the others out
    (section 5 of the paper); equal for equal pictures and seeds. Boxes are distinct, sides at least 4 px.
    DataError without scikit-image.
    """
    rng = np.random.default_rng(seed)
    boxes, ranks = [], []
    for regions in _hierarchies(image_rgb_u8):
        count = len(regions.size)
        boxes.append(regions.boxes)
        ranks.append(np.arange(count, 0, -1) * rng.random(count))
    all_boxes = np.concatenate(boxes)[np.argsort(np.concatenate(ranks), kind="stable")]
    wide = (all_boxes[:, 2:] - all_boxes[:, :2] >= SMALLEST_SIDE_PX).all(axis=1)
    all_boxes = all_boxes[wide]
    _, first = np.unique(all_boxes, axis=0, return_index=True)
    return all_boxes[np.sort(first)[:most]].astype(np.float32)


def _hierarchies(image_rgb_u8: NDArray[np.uint8]) -> Iterator[Regions]:
    """Two colour spaces, two scales, two measures: the paper's "fast" set of eight."""
    try:
        from skimage.segmentation import felzenszwalb
    except ImportError:
        raise DataError(
            "selective search needs scikit-image; install it with: pip install 'tombola[regions]'"
        ) from None
    spaces = (cv2.COLOR_RGB2HSV, cv2.COLOR_RGB2LAB)
    for code, scale in product(spaces, SCALES):
        image_u8 = np.asarray(cv2.cvtColor(image_rgb_u8, code), np.uint8)
        segments = np.asarray(
            felzenszwalb(image_u8, scale=scale, sigma=SMOOTHING_PX, min_size=scale), np.int64
        )
        colour, texture = _colour_histograms(image_u8, segments), _texture_histograms(image_u8, segments)
        for has_colour in (True, False):
            yield grown(segments, colour, texture, has_colour=has_colour)


def grown(
    segments: NDArray[np.int64],
    colour: NDArray[np.float32],
    texture: NDArray[np.float32],
    *,
    has_colour: bool = True,
) -> Regions:
    """Join the most alike neighbours until one region is left: segments int64 [h, w] of 0 … s - 1 -> 2s - 1
    regions."""
    count = len(colour)
    rows = 2 * count - 1
    regions = Regions(
        colour=np.concatenate([colour, np.zeros((rows - count, colour.shape[1]), np.float32)]),
        texture=np.concatenate([texture, np.zeros((rows - count, texture.shape[1]), np.float32)]),
        size=np.concatenate(
            [np.bincount(segments.ravel(), minlength=count), np.zeros(rows - count, np.int64)]
        ),
        boxes=np.concatenate([_boxes(segments, count), np.zeros((rows - count, 4), np.int64)]),
        area=segments.size,
        has_colour=has_colour,
    )
    neighbours = _neighbours(segments)
    heap = [(-regions.likeness(i, j), i, j) for i, near in neighbours.items() for j in near if i < j]
    heapq.heapify(heap)
    into = count
    while heap:
        _, i, j = heapq.heappop(heap)
        if i not in neighbours or j not in neighbours:
            continue  # one of them is part of a union by now
        regions.join(i, j, into)
        near = (neighbours.pop(i) | neighbours.pop(j)) - {i, j}
        neighbours[into] = near
        for other in near:
            neighbours[other] -= {i, j}
            neighbours[other].add(into)
            heapq.heappush(heap, (-regions.likeness(other, into), other, into))
        into += 1
    return regions


def _neighbours(segments: NDArray[np.int64]) -> dict[int, set[int]]:
    """For each segment those that share an edge with it."""
    pairs = [
        np.stack([first.ravel(), second.ravel()], axis=1)
        for first, second in ((segments[:-1], segments[1:]), (segments[:, :-1], segments[:, 1:]))
    ]
    different = np.concatenate(pairs)
    different = np.unique(different[different[:, 0] != different[:, 1]], axis=0)
    neighbours: dict[int, set[int]] = {segment: set() for segment in range(int(segments.max()) + 1)}
    for i, j in different.tolist():
        neighbours[i].add(j)
        neighbours[j].add(i)
    return neighbours


def _boxes(segments: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """x1 y1 x2 y2 of each segment, int64 [count, 4]; a box of one pixel is 1 wide."""
    height, width = segments.shape
    boxes = np.tile(np.array([width, height, 0, 0], np.int64), (count, 1))
    y, x = np.indices(segments.shape)
    flat = segments.ravel()
    np.minimum.at(boxes[:, 0], flat, x.ravel())
    np.minimum.at(boxes[:, 1], flat, y.ravel())
    np.maximum.at(boxes[:, 2], flat, x.ravel() + 1)
    np.maximum.at(boxes[:, 3], flat, y.ravel() + 1)
    return boxes


def _colour_histograms(image_u8: NDArray[np.uint8], segments: NDArray[np.int64]) -> NDArray[np.float32]:
    """25 bins of each of three channels, float32 [s, 75], each row sums to 1."""
    return _histograms(image_u8.astype(np.int64) * COLOUR_BINS // 256, segments, COLOUR_BINS)


def _texture_histograms(image_u8: NDArray[np.uint8], segments: NDArray[np.int64]) -> NDArray[np.float32]:
    """10 bins of the Gaussian derivative (σ = 1 px) in 8 directions, 3 channels: float32 [s, 240]; rows sum
    to 1."""
    smooth = cv2.GaussianBlur(image_u8.astype(np.float32), (0, 0), 1.0)
    slope_x, slope_y = cv2.Sobel(smooth, -1, 1, 0, ksize=1), cv2.Sobel(smooth, -1, 0, 1, ksize=1)
    angles = 2 * np.pi * np.arange(TEXTURE_ANGLES) / TEXTURE_ANGLES
    slopes = np.concatenate(
        [np.maximum(slope_x * np.cos(angle) + slope_y * np.sin(angle), 0) for angle in angles], axis=2
    )  # [h, w, 24]
    most = max(float(slopes.max()), 1e-6)
    levels = np.minimum((slopes / most * TEXTURE_BINS).astype(np.int64), TEXTURE_BINS - 1)
    return _histograms(levels, segments, TEXTURE_BINS)


def _histograms(levels: NDArray[np.int64], segments: NDArray[np.int64], bins: int) -> NDArray[np.float32]:
    """levels int64 [h, w, c] of 0 … bins - 1 -> float32 [s, c · bins], each row sums to 1."""
    count, channels = int(segments.max()) + 1, levels.shape[2]
    columns = [
        np.bincount(segments.ravel() * bins + levels[..., channel].ravel(), minlength=count * bins)
        for channel in range(channels)
    ]
    histograms = np.stack([column.reshape(count, bins) for column in columns], axis=1).reshape(count, -1)
    return np.asarray(histograms / histograms.sum(axis=1, keepdims=True), np.float32)
