"""Means over seeds and rows, and sums of them, worked by hand and by simulation."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tunesmith.core.crossed import Stats, contrast, difference, mean
from tunesmith.core.statistics import Interval, wilson


def _mean(rows: Any) -> float:
    return float(rows.mean())


def _right(*counts: int, rows: int = 400) -> Stats:
    """Under each seed the first so many rows are right."""
    return Stats.of({s: {"row": [str(n) for n in range(rows)], "tuned": [[1.0]] * n + [[0.0]] * (rows - n)} for s, n in enumerate(counts)})


def _width(found: Interval) -> float:
    return found.high - found.low


def test_with_one_seed_the_interval_of_a_proportion_is_near_the_usual_one() -> None:
    ours, usual = mean(_right(300), _mean), wilson(300, 400)
    assert ours.value == 0.75
    assert (ours.low, ours.high) == pytest.approx((usual.low, usual.high), abs=0.01)


def test_seeds_that_differ_widen_the_interval_and_shared_rows_do_not_narrow_it() -> None:
    one, same, apart = (mean(_right(*counts), _mean) for counts in ((300,), (300, 300, 300), (200, 300, 400)))
    assert _width(same) == pytest.approx(_width(one), rel=0.1)  # three times the same answers to the same rows are no more rows
    # by hand: means of three draws of 0.5, 0.75 and 1 have a standard deviation of 0.204 / sqrt(3) = 0.118
    assert 0.3 < _width(apart) < 2 * 1.96 * 0.118 + _width(one)
    assert same.value == apart.value == 0.75


def test_a_difference_pairs_rows_and_says_nothing_where_nothing_differs() -> None:
    row = [f"a:{n}" for n in range(50)]
    ours = Stats.of({0: {"row": row, "tuned": [[1.0]] * 50}})
    theirs = Stats.of({0: {"row": row[::-1], "tuned": [[1.0]] * 49 + [[0.0]]}})  # the last of them is a:0
    assert difference(ours, theirs, _mean).value == pytest.approx(0.02)
    assert math.isnan(difference(ours, ours, _mean).low)
    with pytest.raises(ValueError, match="no test row"):
        difference(ours, Stats.of({1: {"row": row, "tuned": [[1.0]] * 50}}), _mean)


def test_a_contrast_is_the_weighted_sum_of_the_means_over_the_rows_of_all() -> None:
    found = contrast([_right(100), _right(200), _right(400)], [-0.5, 0.0, 0.5], _mean)
    assert found.value == pytest.approx(0.5 * (1.0 - 0.25))
    assert found.low < found.value < found.high
    assert contrast([_right(100), _right(200, rows=300)], [1.0, 0.0], _mean).value == pytest.approx(100 / 300)


def test_rows_with_the_same_key_are_drawn_together() -> None:
    """Four copies of each row are no more rows than one."""
    answers = [[float(n % 4 > 0)] for n in range(100)]
    once = Stats.of({0: {"row": [str(n) for n in range(100)], "tuned": answers}})
    copied = Stats.of({0: {"row": [str(n) for n in range(100) for _ in range(4)], "tuned": [one for one in answers for _ in range(4)]}})
    assert _width(mean(copied, _mean)) == pytest.approx(_width(mean(once, _mean)), rel=1e-9)


def test_a_number_that_is_missing_leaves_the_bounds_open() -> None:
    found = mean(Stats.of({0: {"row": ["a", "b"], "tuned": [[None], [1.0]]}}), _mean)
    assert math.isnan(found.low)


@pytest.mark.parametrize(("sd_of_seeds", "num_seeds", "least"), [(0.0, 3, 0.93), (0.1, 3, 0.9), (0.1, 5, 0.9), (0.4, 5, 0.8)])
def test_the_interval_covers_the_truth(sd_of_seeds: float, num_seeds: int, least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, seeds and both together each add a normal number; the truth is 0. Where seeds outweigh all else, few of them cover less than 95 %."""
    monkeypatch.setattr("tunesmith.core.crossed._RESAMPLES", 200)
    rng, hits, trials, rows = np.random.default_rng(7), 0, 200, 100

    def stats() -> Stats:
        of_rows, of_seeds = rng.normal(0, 1, rows), rng.normal(0, sd_of_seeds, num_seeds)
        answers: Sequence[Any] = of_rows[None] + of_seeds[:, None] + rng.normal(0, 0.5, (num_seeds, rows))
        return Stats({s: {str(n): [[float(x)]] for n, x in enumerate(one)} for s, one in enumerate(answers)})

    for _ in range(trials):
        found = mean(stats(), _mean)
        hits += found.low <= 0 <= found.high
    assert least <= hits / trials <= 0.995
