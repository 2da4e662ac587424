"""What is said about learning curves, and when."""

from typing import Any

import pytest

from tunesmith.evaluation.overfitting import overfitting


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
