"""What is said about learning curves, and when."""

import math
from typing import Any

import pytest

from tunesmith.evaluation.overfitting import gap, overfitting


def curve(*losses: float, every: int = 10) -> list[dict[str, Any]]:
    return [{"step": every * (i + 1), "epoch": (i + 1) / 2, "loss": loss} for i, loss in enumerate(losses)]


def falling(steps: int, start: float = 1.0, end: float = 0.1) -> list[dict[str, Any]]:
    return [{"step": s + 1, "loss": start + (end - start) * s / (steps - 1)} for s in range(steps)]


def test_a_rising_validation_loss_under_a_falling_training_loss_is_over_fitting_with_numbers() -> None:
    found = overfitting(falling(40, 0.95, 0.17), curve(0.6, 0.5, 0.55, 0.61))
    assert found["found"]
    # steps 1-20 lie on 0.95 ... 0.57 (mean 0.76), steps 21-40 on 0.55 ... 0.17 (mean 0.36)
    for number in ["step 20 (epoch 1)", "0.500 nats", "0.610 at step 40 (epoch 2)", "+22.0 %", "from 0.760 to 0.360"]:
        assert number in found["text"]


@pytest.mark.parametrize(("last", "is_found"), [(0.524, False), (0.526, True)])
def test_the_rise_must_pass_5_percent(last: float, is_found: bool) -> None:
    assert overfitting(falling(30), curve(0.6, 0.5, last))["found"] == is_found


@pytest.mark.parametrize(("last", "is_found"), [(0.019, False), (0.021, True)])
def test_the_rise_must_pass_a_hundredth_of_a_nat(last: float, is_found: bool) -> None:
    assert overfitting(falling(30), curve(0.6, 0.010, last))["found"] == is_found


def test_a_training_loss_that_rises_too_is_no_over_fitting() -> None:
    found = overfitting(falling(30, 0.3, 0.9), curve(0.5, 0.6, 0.9))
    assert not found["found"]
    assert "training loss did not fall" in found["text"]


def test_a_validation_loss_still_falling_at_the_end_hints_at_more_epochs() -> None:
    found = overfitting(falling(30), curve(0.9, 0.7, 0.6))
    assert not found["found"]
    assert "more epochs may help" in found["text"]
    assert "more epochs" not in overfitting(falling(30), curve(0.9, 0.600, 0.597))["text"]


@pytest.mark.parametrize("validation", [[], curve(0.5), curve(float("nan"), 0.5), [{"step": 1, "loss": None}, {"step": 2, "loss": 0.5}]])
def test_fewer_than_two_points_cannot_show_it(validation: list[dict[str, Any]]) -> None:
    found = overfitting(falling(30), validation)
    assert not found["found"]
    assert "fewer than two times" in found["text"]


def test_no_training_curve_finds_nothing() -> None:
    assert not overfitting([], curve(0.5, 0.9))["found"]


def test_the_gap_is_that_of_the_kept_weights_to_the_steps_before_them_with_an_interval() -> None:
    validation = [one | {"loss_low": one["loss"] - 0.05, "loss_high": one["loss"] + 0.05} for one in curve(0.9, 0.8, 0.95)]
    found = gap(falling(30, 1.0, 0.42), validation, kept_step=20)
    assert found is not None
    assert found["train"] == pytest.approx(0.71)  # steps 11 to 20 lie on 0.80 ... 0.62
    assert found["value"] == pytest.approx(0.09)
    half = math.hypot(0.05, 2.2622 * 0.0605530 / math.sqrt(10))  # of the validation loss, and Student's of ten steps
    assert (found["low"], found["high"]) == pytest.approx((0.09 - half, 0.09 + half), abs=1e-4)
    for said in ["At step 20 (epoch 1), whose weights were kept", "0.800", "the training rows of the 10 steps before 0.710", "+0.090"]:
        assert said in found["text"]


def test_a_gap_whose_interval_holds_zero_is_not_clear() -> None:
    (point,) = curve(0.75)
    noisy = [{"step": step, "loss": 0.7 + 0.2 * (-1) ** step} for step in range(1, 11)]
    found = gap(noisy, [point | {"loss_low": 0.7, "loss_high": 0.8}], kept_step=10)
    assert found is not None
    assert found["low"] < 0 < found["high"]
    assert "no clear gap" in found["text"]


def test_a_gap_without_intervals_says_so_and_there_is_none_without_validation() -> None:
    found = gap(falling(10), curve(0.9), kept_step=10)
    assert found is not None
    assert math.isnan(found["low"])
    assert "too few batches for an interval" in found["text"]
    assert gap(falling(10), [], kept_step=None) is None
    assert gap([], curve(0.9), kept_step=10) is None
