"""Letters on a picture, legible from a thumbnail to 4K, and the colours of classes."""

import unicodedata
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]

# First Okabe and Ito's colours (RGB), which readers with any kind of colour vision can tell apart; then, each
# in its turn, the one farthest from all before it in OKLab, for normal and for red-green blind eyes.
PALETTE: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (140, 0, 255), (140, 35, 105), (255, 210, 255), (0, 255, 175), (210, 0, 175),
    (105, 70, 35), (175, 105, 255), (210, 175, 175), (0, 210, 105), (255, 70, 105), (70, 70, 140),
    (0, 70, 210), (175, 70, 70),
)  # fmt: skip
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)

FONT = cv2.FONT_HERSHEY_DUPLEX
SMALLEST_SCALE = 0.3  # capitals 7 px high: smaller ones cannot be read


@dataclass(frozen=True)
class Rect:
    """A rectangle of whole pixels, right and bottom excluded."""

    left: int
    top: int
    right: int
    bottom: int

    def overlaps(self, other: "Rect") -> bool:
        """Whether the two share a pixel."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


@dataclass(frozen=True)
class Tag:
    """A text with its place in the picture."""

    text: str
    rect: Rect


def draw_caption(image_rgb_u8: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Return a copy of the picture with a line of text in its lower left corner, if there is room for it."""
    canvas = np.array(image_rgb_u8, order="C")
    height, width = canvas.shape[:2]
    text_width, text_height = tag_size(text, (height, width))
    if text_width <= width and text_height <= height:
        draw_tag(canvas, Tag(text, Rect(0, height - text_height, text_width, height)), BLACK)
    return canvas


def colour_of(label: int) -> Colour:
    """The RGB colour of a class."""
    return PALETTE[label % len(PALETTE)]


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever has more contrast on a colour (WCAG's relative luminance)."""
    red, green, blue = ((channel / 255) ** 2.2 for channel in colour)
    return BLACK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else WHITE


def tag_size(text: str, size_hw: tuple[int, int]) -> tuple[int, int]:
    """Width and height in pixels of a text with its margin, at the letter size that suits the picture."""
    scale = _scale(size_hw)
    (text_width, _), _ = cv2.getTextSize(text, FONT, scale, _stroke(scale))
    ascent, descent = _line_height(scale)
    margin = _margin(scale)
    return text_width + 2 * margin, ascent + descent + 2 * margin


def draw_tag(canvas: NDArray[np.uint8], tag: Tag, colour: Colour) -> None:
    """Write a text on a ground of `colour`, into the picture itself."""
    rect = tag.rect
    scale = _scale((canvas.shape[0], canvas.shape[1]))
    ascent, _ = _line_height(scale)
    margin = _margin(scale)
    canvas[rect.top : rect.bottom, rect.left : rect.right] = colour
    origin = (rect.left + margin, rect.top + margin + ascent)
    cv2.putText(canvas, tag.text, origin, FONT, scale, ink_on(colour), _stroke(scale), cv2.LINE_AA)


def _scale(size_hw: tuple[int, int]) -> float:
    return max(SMALLEST_SCALE, min(0.4, min(size_hw) / 500), min(size_hw) / 1000)


def _stroke(scale: float) -> int:
    return max(1, round(scale))


def _margin(scale: float) -> int:
    return max(1, round(4 * scale))


def _line_height(scale: float) -> tuple[int, int]:
    """Pixels above and below the line that letters stand on."""
    (_, ascent), descent = cv2.getTextSize("Ág", FONT, scale, _stroke(scale))
    return ascent, descent


def printable(name: str) -> str:
    """The nearest text that can be drawn: OpenCV 4 has letters of ASCII only, 5 brings a Unicode font."""
    if int(cv2.__version__.split(".")[0]) >= 5:
        return name.encode(errors="replace").decode()  # it crashes on half a surrogate pair
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return plain if plain.strip() else name.encode("ascii", "replace").decode()
