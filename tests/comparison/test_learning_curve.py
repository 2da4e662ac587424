"""Learning curves drawn out: exact on a power law, and by simulation, where the truth is known."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from tunesmith.comparison.learning_curve import draws, expected, gain_left, power_law

SIZES = [100, 300, 900]


def share(stats_nk: np.ndarray[Any, Any]) -> float:
    return float(stats_nk[:, 0].mean())


def test_a_power_law_with_a_floor_is_found_and_drawn_out() -> None:
    errors = np.array([[0.1 + 2.0 * size**-0.5 for size in SIZES]])
    assert power_law(SIZES, errors, 2700)[0] == pytest.approx(0.1 + 2.0 * 2700**-0.5, rel=1e-6)


def test_a_curve_that_rises_or_stays_is_drawn_out_flat() -> None:
    assert power_law(SIZES, np.array([[0.3, 0.3, 0.3]]), 2700)[0] == pytest.approx(0.3)
    assert power_law(SIZES, np.array([[0.2, 0.25, 0.3]]), 2700)[0] == pytest.approx(0.3)  # nothing falls


def test_a_curve_that_falls_faster_than_any_law_is_not_expected_to_get_worse() -> None:
    assert power_law([222, 667, 2000], np.array([[0.6, 0.35, 0.02]]), 6000)[0] <= 0.02


def test_an_error_never_falls_below_zero() -> None:
    assert 0 <= power_law(SIZES, np.array([[0.5, 0.2, 0.0]]), 90000)[0] < 0.05


def test_more_is_better_is_one_minus_an_error() -> None:
    drawn = np.array([[0.5, 0.7, 0.8]] * 3)
    upward, _ = expected(SIZES, drawn, 2700, higher_is_better=True)
    downward, _ = expected(SIZES, 1 - drawn, 2700, higher_is_better=False)
    assert upward.value == pytest.approx(1 - downward.value)
    assert upward.value > 0.8


def test_the_same_units_are_drawn_at_every_size_and_for_every_arm() -> None:
    draw = np.random.default_rng(0)
    one = (draw.random((50, 1)) < 0.7).astype(float)
    drawn = draws([one, one, one], share)
    assert drawn[0] == pytest.approx([one.mean()] * 3)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (draws([one], share)[:, 0] == drawn[:, 0]).all()


def _right(errors: list[float], seed: int, rows: int) -> list[np.ndarray[Any, Any]]:
    """Trainings on growing parts: a row that is right stays right mostly, as it does where models share data."""
    draw = np.random.default_rng(seed)
    hard = draw.random(rows)
    return [(0.7 * hard + 0.3 * draw.random(rows) > _quantile(error)).astype(float)[:, None] for error in errors]


@cache
def _quantile(error: float) -> float:
    draw = np.random.default_rng(12345)
    return float(np.quantile(0.7 * draw.random(200_000) + 0.3 * draw.random(200_000), error))


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    truth = 1 - (0.08 + 1.5 * 2700**-0.4)
    errors = [0.08 + 1.5 * size**-0.4 for size in SIZES]
    held = 0
    for seed in range(100):
        told, _ = expected(SIZES, draws(_right(errors, seed, 400), share, seed=seed), 2700, higher_is_better=True)
        held += told.low <= truth <= told.high
    assert held >= 88


def _left(errors: list[float], leader: float, seed: int) -> float:
    before, last, ahead = _right([*errors, leader], seed, 400)
    drawn = draws([before, last, ahead], share)
    return gain_left(drawn[:, :2], drawn[:, 2], higher_is_better=True)


def test_an_arm_that_will_be_as_good_as_the_leader_is_hardly_ever_given_up() -> None:
    errors = [0.08 + 1.5 * size**-0.4 for size in SIZES]
    given_up = sum(_left(errors[:2], errors[2], seed) < 0 for seed in range(100))
    assert given_up <= 3


def test_an_arm_far_behind_that_gains_little_is_given_up() -> None:
    assert all(_left([0.45, 0.42], 0.15, seed) < 0 for seed in range(20))


def test_of_losses_less_is_better() -> None:
    drawn = np.array([[3.0, 2.9]] * 5)
    assert gain_left(drawn, np.full(5, 2.0), higher_is_better=False) == pytest.approx(-0.8)
    assert gain_left(drawn, np.full(5, 2.85), higher_is_better=False) == pytest.approx(0.05)
