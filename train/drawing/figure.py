"""Figures for a page that may be light or dark, and as narrow as a phone."""

import io
import warnings

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Grey that has a contrast of 4.5 on white and of 4.2 on nearly black.
INK = "#767676"
# Okabe and Ito's colours, less black and yellow: any kind of colour vision tells them apart on both grounds.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
WIDTH_INCHES = 4.8
DPI = 160


def new_figure(height_inches: float = 3.2) -> Figure:
    """An empty figure, as wide as a phone's screen when its text is 9 points."""
    return blank_figure((WIDTH_INCHES, height_inches), DPI)


def blank_figure(size_inches: tuple[float, float], dpi: int = 110) -> Figure:
    """An empty figure, width × height, that needs no screen."""
    figure = Figure(figsize=size_inches, dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_axes(figure: Figure, *, x_label: str, y_label: str) -> Axes:
    """The figure's only axes, in ink that reads on both grounds."""
    axes = figure.subplots()
    axes.set_facecolor("none")
    axes.set_prop_cycle(color=COLOURS)
    axes.set_xlabel(x_label, color=INK, fontsize=9)
    axes.set_ylabel(y_label, color=INK, fontsize=9)
    axes.tick_params(which="both", color=INK, labelcolor=INK, labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.grid(visible=True, color=INK, alpha=0.25, linewidth=0.6)
    return axes


def to_png(figure: Figure, *, transparent: bool = True) -> bytes:
    """PNG bytes; on a transparent ground a page's own shows through."""
    picture = io.BytesIO()
    with warnings.catch_warnings():
        # A name in letters that the font lacks shows boxes; the page has it in full.
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(picture, format="png", transparent=transparent)
    return picture.getvalue()


def brief(name: str, most: int = 16) -> str:
    """A name for a figure, shortened to `most` letters; a dollar sign would begin a formula."""
    return (name if len(name) <= most else f"{name[: most - 1]}…").replace("$", r"\$")
