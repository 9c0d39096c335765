"""Lines of means and spreads as a picture."""

from tombola.train.drawing.spreads import draw_spreads


def test_every_line_is_drawn_however_many_there_are() -> None:
    lines = {f"network {number}": [(1.0, number / 9, 0.1), (2.0, 1.0, 0.0)] for number in range(9)}
    pictures = {
        draw_spreads(dict(list(lines.items())[:count]), x_label="lag", y_label="right", shares=False)
        for count in range(1, 10)
    }
    assert len(pictures) == 9
