"""Learning curves by data size: the steps, the fitted line and the words, worked by hand."""

from typing import Any

import numpy as np
import pytest

from tunesmith.core import registry
from tunesmith.core.types import Metric
from tunesmith.evaluation.data_curve import data_curve
from tunesmith.evaluation.differences import paired_difference, verdict

ROWS = [f"a:{n}" for n in range(400)]
ACCURACY: Metric = registry.create("metric", "accuracy")
RMSE: Metric = registry.create("metric", "rmse")


def _right(count: int) -> dict[str, Any]:
    return {"row": ROWS, "tuned": [[1.0]] * count + [[0.0]] * (400 - count)}


@pytest.mark.parametrize(
    ("right", "trend"),
    [
        ((200, 240, 300), "helps"),
        ((200, 300, 301), "helped"),
        ((300, 301, 299), "flat"),
        ((300, 300, 250), "harms"),
        ((200, 205, 210), "helped"),
    ],
)
def test_the_trend_is_that_of_the_last_step_then_of_the_others(right: tuple[int, ...], trend: str) -> None:
    assert data_curve(ACCURACY, [100, 200, 400], list(map(_right, right)))["trend"] == trend


def test_one_step_of_several_that_would_be_clear_alone_is_none_among_them_all() -> None:
    found = data_curve(ACCURACY, [100, 200, 400], list(map(_right, (200, 206, 206))))  # six rows of six: McNemar's p is 2 / 2**6
    tested = [*found["steps"], found["whole"]]
    assert [one["p"] for one in tested] == [0.03125, 1.0, 0.03125]
    assert [one["p_holm"] for one in tested] == [3 * 0.03125, 1.0, 3 * 0.03125]
    assert found["trend"] == "flat"
    two = data_curve(ACCURACY, [100, 200], list(map(_right, (200, 206))))  # one test, not two
    assert (two["whole"], two["trend"]) == (two["steps"][0], "helps")


def test_the_slope_is_the_least_squares_line_over_doublings() -> None:
    found = data_curve(ACCURACY, [100, 200, 800], list(map(_right, (200, 240, 300))))
    slope = np.polyfit([0.0, 1.0, 3.0], [0.5, 0.6, 0.75], 1)[0]
    assert found["per_doubling"]["value"] == pytest.approx(slope)
    assert found["per_doubling"]["low"] < slope < found["per_doubling"]["high"]
    assert [(step["from_rows"], step["to_rows"], round(step["value"], 3)) for step in found["steps"]] == [(100, 200, 0.1), (200, 800, 0.15)]
    assert (found["whole"]["from_rows"], found["whole"]["to_rows"]) == (100, 800)


def test_where_lower_is_better_a_fall_helps() -> None:
    def off_by(error: float) -> dict[str, Any]:
        return {"row": ROWS, "tuned": [[0.0, error * (1 + n % 3)] for n in range(400)]}

    found = data_curve(RMSE, [10, 20], [off_by(2.0), off_by(1.0)])
    assert found["steps"][0]["value"] < 0
    assert found["trend"] == "helps"


def test_rows_are_matched_by_their_names_whatever_their_order() -> None:
    first, other = _right(200), {"row": ROWS[::-1], "tuned": _right(200)["tuned"][::-1]}
    assert paired_difference(ACCURACY, first, other)["p"] == 1.0
    with pytest.raises(ValueError, match="other test rows"):
        paired_difference(ACCURACY, first, {"row": ROWS[:-1], "tuned": first["tuned"][:-1]})


def test_rows_of_one_name_are_drawn_together() -> None:
    names = [name for name in ROWS[:100] for _ in range(4)]
    answers = [[[float(n // 4 % 4 > least)] for n in range(400)] for least in (0, 1)]
    found = paired_difference(ACCURACY, *({"row": names, "tuned": one} for one in answers))
    assert found["test"] == "paired bootstrap"
    assert found["value"] == pytest.approx(-0.25)


@pytest.mark.parametrize(
    ("low", "high", "p", "said"),
    [(0.1, 0.3, 0.01, "better"), (-0.3, -0.1, 0.01, "worse"), (-0.1, 0.3, 0.2, "unclear"), (0.1, 0.3, 0.06, "unclear")],
)
def test_a_verdict_needs_both_the_interval_and_p(low: float, high: float, p: float, said: str) -> None:
    assert verdict({"value": (low + high) / 2, "low": low, "high": high, "p": p}, higher_is_better=True) == said


def test_what_is_not_known_is_unclear_and_a_given_p_counts() -> None:
    clear = {"value": 0.2, "low": 0.1, "high": 0.3, "p": 0.01}
    assert verdict(clear | {"p": float("nan")}, higher_is_better=True) == "unclear"
    assert verdict(clear | {"low": float("nan"), "high": float("nan")}, higher_is_better=True) == "unclear"
    assert verdict(clear, True, 0.2) == "unclear"
    assert verdict(clear, False) == "worse"
    assert verdict(clear, None) == "unclear"
