"""The interval of an average over strata covers the truth, few rows a stratum or many."""

from dataclasses import replace

import numpy as np
import pytest

from tunesmith.core.strata import Strata, stratified_bootstrap


def _strata(rows: list[np.ndarray], weights: list[float]) -> Strata:
    return Strata([len(one) for one in rows], weights, [lambda places, one=one: float(one[places.astype(int)].mean()) for one in rows])


def test_the_value_is_the_weighted_mean_worked_by_hand() -> None:
    interval = stratified_bootstrap(_strata([np.array([1.0, 0.0]), np.array([1.0, 1.0, 0.0])], [2, 3]), seed=0).interval
    assert interval.value == pytest.approx((2 * 0.5 + 3 * 2 / 3) / 5)
    assert interval.low < interval.value < interval.high


@pytest.mark.parametrize("sizes", [[3] * 30, [40] * 5, [1] * 40, [1] * 10 + [4] * 20])
def test_it_covers_the_truth_as_often_as_it_says(sizes: list[int]) -> None:
    draw = np.random.default_rng(0)
    shares, weights = draw.uniform(0.1, 0.6, len(sizes)), draw.uniform(1, 4, len(sizes))
    truth, covered = float(shares @ weights / weights.sum()), 0
    for trial in range(200):
        rows = [(draw.random(size) < share).astype(float) for size, share in zip(sizes, shares, strict=True)]
        interval = stratified_bootstrap(_strata(rows, list(weights)), seed=trial, resamples=300).interval
        covered += interval.low <= truth <= interval.high
    assert covered >= 200 * 0.9


def test_rows_of_a_group_are_drawn_together() -> None:
    """Six rows that say the same are one row: the interval is that of the groups, not of the rows."""
    alone = _strata([np.array([0.0, 1.0, 1.0, 0.0, 1.0]), np.array([0.2, 0.4, 0.9])], [1, 1])
    repeated = _strata([np.repeat([0.0, 1.0, 1.0, 0.0, 1.0], 6), np.array([0.2, 0.4, 0.9])], [1, 1])
    grouped = replace(repeated, groups=[[row // 6 for row in range(30)], None])
    assert stratified_bootstrap(grouped, seed=0) == pytest.approx(stratified_bootstrap(alone, seed=0))
    narrow, wide = (stratified_bootstrap(strata, seed=0).interval for strata in (repeated, grouped))
    assert wide.high - wide.low > 1.3 * (narrow.high - narrow.low)
    with pytest.raises(ValueError, match="a key for each of its rows"):
        replace(repeated, groups=[["a", "b"], None])


def test_p_is_small_where_zero_lies_far_outside() -> None:
    far, near = np.array([0.4, 0.5, 0.6] * 5), np.array([-1.0, 1.0, 0.0, 0.5, -0.5])
    assert stratified_bootstrap(_strata([far, far], [1, 1]), seed=0).p < 0.01
    assert stratified_bootstrap(_strata([near, near], [1, 1]), seed=0).p > 0.3


def test_what_is_detectable_comes_from_the_standard_error_of_the_weighted_mean() -> None:
    """Two strata of 50 with weights 1 and 3; the standard error of a mean of n rows is s / sqrt(n), Bloom's multiple of it 2.8."""
    draw = np.random.default_rng(0)
    rows = [draw.normal(size=50), draw.normal(0, 2, size=50)]
    std_error = np.hypot(rows[0].std(ddof=1) / 4, rows[1].std(ddof=1) * 3 / 4) / np.sqrt(50)
    assert stratified_bootstrap(_strata(rows, [1, 3]), seed=0).detectable == pytest.approx(2.8016 * std_error, rel=0.05)


@pytest.mark.parametrize("sizes", [[1], [1, 5]])
def test_one_row_alone_leaves_its_spread_open(sizes: list[int]) -> None:
    found = stratified_bootstrap(_strata([np.arange(size, dtype=float) for size in sizes], [1.0] * len(sizes)), seed=0)
    assert np.isnan([found.interval.low, found.interval.high, found.p, found.detectable]).all()
    assert np.isfinite(found.interval.value)


def test_a_stratum_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        Strata([0], [1.0], [lambda places: 0.0])
