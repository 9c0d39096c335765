"""The axes of a search, and the points of its grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.errors import RecipeError
from tombola.train.search.axis import Axis, parse_axis
from tombola.train.search.point import grid

RATE, PENALTY = "training.learning_rate", "training.weight_decay"


def test_a_range_in_log_space() -> None:
    axis = parse_axis(RATE, "1e-4:1e-1:7")
    assert axis.values == ("0.0001", "0.0003162", "0.001", "0.003162", "0.01", "0.03162", "0.1")
    assert (axis.name, axis.is_range) == ("learning_rate", True)


def test_a_list_keeps_its_order() -> None:
    axis = parse_axis("training.batch_size", "64,8,16")
    assert axis.values == ("64", "8", "16")
    assert not axis.is_range
    assert parse_axis(PENALTY, "0").values == ("0",)
    # To the digit: a seed is another one if it is rounded.
    assert parse_axis("seed", "10001,10002,1234567").values == ("10001", "10002", "1234567")
    assert parse_axis(RATE, "0.1,3e-4,0.12345").values == ("0.1", "0.0003", "0.12345")


@given(low=st.floats(1e-9, 1e3), factor=st.floats(1.5, 1e9), count=st.integers(2, 12), falls=st.booleans())
def test_steps_are_equal_factors(low: float, factor: float, count: int, falls: bool) -> None:
    ends = (low * factor, low) if falls else (low, low * factor)
    axis = parse_axis("x", f"{ends[0]!r}:{ends[1]!r}:{count}")
    steps = np.diff(np.log([float(value) for value in axis.values]))
    np.testing.assert_allclose(steps, np.log(ends[1] / ends[0]) / (count - 1), atol=2e-3)
    assert axis.is_range == (count > 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"x= is not understood; write x=LOW:HIGH:N .* or x=A,B,C"),
        ("1e-4:1e-1", "is not understood"),
        ("1e-4:1e-1:many", "is not understood"),
        ("1,two", "is not understood"),
        ("0:1e-1:3", "log space and must lie above 0; give other ends, or the values themselves"),
        ("1:inf:3", "log space"),
        ("1:nan:3", "log space"),
        ("1:2:1", "asks for 1 values; ask for 2 to 1000"),
        ("1:2:100000", "asks for 100000 values"),
        ("1,nan", "not finite"),
        ("1,2,1.0", "a value twice"),
        ("1:1:2", "a value twice"),
    ],
)
def test_an_axis_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_axis("x", text)


def test_an_axis_needs_a_key() -> None:
    with pytest.raises(RecipeError, match="has no key"):
        parse_axis(" ", "1,2")


def test_a_grid_is_every_combination() -> None:
    points = grid([Axis("training.l2", ("0", "1e-05")), Axis("roi.dropout", ("0.1", "0.5"))])
    assert [point.name for point in points] == [
        "l2=0_roi.dropout=0.1",
        "l2=0_roi.dropout=0.5",
        "l2=1e-05_roi.dropout=0.1",
        "l2=1e-05_roi.dropout=0.5",
    ]
    assert points[1].overrides == ["training.l2=0", "roi.dropout=0.5"]
    with pytest.raises(RecipeError, match=r"training\.l2 is searched twice"):
        grid([Axis("training.l2", ("0",)), Axis("training.l2", ("1",))])
    with pytest.raises(RecipeError, match="nothing to search"):
        grid([])
