"""Bins of a reliability picture."""

import pytest

from tunesmith.core.statistics import wilson
from tunesmith.core.types import Output
from tunesmith.evaluation.calibration import reliability


def sure(label: str, p: float) -> Output:
    return Output(label=label, probabilities=(p, 1 - p), classes=("a", "b"))


def test_rows_fall_into_ten_bins_that_are_closed_above_and_empty_ones_are_left_out() -> None:
    outputs = [sure("a", p) for p in (0.55, 0.6, 0.61, 1.0, 0.95)]
    found = reliability(outputs, ["a", "b", "a", "a", "a"])
    assert [(one.low, one.high, one.rows) for one in found] == [(0.5, 0.6, 2), (0.6, 0.7, 1), (0.9, 1.0, 2)]
    assert found[0].sure == pytest.approx(0.575)
    assert found[0].right == wilson(1, 2)


@pytest.mark.parametrize("outputs", [[], [Output(label="a")]])
def test_without_probabilities_there_are_no_bins(outputs: list[Output]) -> None:
    assert reliability(outputs, ["a"] * len(outputs)) == []
