"""Bins of a reliability picture."""

from typing import Any

import numpy as np
import pytest

from tunesmith.core import registry
from tunesmith.core.statistics import bootstrap, wilson
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


def test_the_interval_of_ece_covers_an_error_that_is_clear_and_never_that_of_a_perfect_model() -> None:
    """A score that cannot fall below 0 is resampled upwards: docs/metrics.md says so."""
    rng, rounds, ece = np.random.default_rng(0), 100, registry.create("metric", "ece").value

    def drawn(too_sure: float) -> Any:
        sure = 0.5 + 0.5 * rng.beta(5.0, 1.5, 300)
        return np.stack([sure, rng.random(300) < (sure - too_sure)], axis=1)

    def covered(too_sure: float) -> float:
        found = [bootstrap(drawn(too_sure), ece, seed=seed, resamples=150) for seed in range(rounds)]
        return sum(one.low <= too_sure <= one.high for one in found) / rounds

    assert covered(0.1) > 0.88
    assert covered(0.0) == 0.0
