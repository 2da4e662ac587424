"""Intervals and tests against published numbers, scipy, exact enumeration and simulation."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tunesmith.core.statistics import (
    Interval,
    bootstrap,
    compare_proportions,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    ratio_sum,
    tango,
    unpaired_difference,
    wilson,
)


def _mean(rows: Any) -> float:
    return float(rows.mean())


def _ratio(rows: Any) -> float:
    return float(rows[:, 0].sum() / rows[:, 1].sum())


def _column(values: Any) -> Any:
    return np.asarray(values, dtype=np.float64)[:, None]


def test_wilson_is_the_published_81_of_263() -> None:
    found = wilson(81, 263)  # Newcombe (1998), Stat. Med. 17:857, table I, method 3
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize(("successes", "rows", "level"), [(0, 20, 0.95), (1, 29, 0.95), (20, 20, 0.9), (1, 1, 0.95), (845, 1000, 0.99)])
def test_wilson_equals_scipy(successes: int, rows: int, level: float) -> None:
    found, expected = wilson(successes, rows, level), scipy_stats.binomtest(successes, rows).proportion_ci(level, "wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_all_right_has_width_and_of_no_rows_says_nothing() -> None:
    assert wilson(50, 50).high == 1.0
    assert 0.92 < wilson(50, 50).low < 0.93
    nothing = wilson(0, 0)
    assert math.isnan(nothing.value)
    assert (nothing.low, nothing.high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="5 successes of 4"):
        wilson(5, 4)


@pytest.mark.parametrize(
    ("both", "only_base", "only_tuned", "neither", "low", "high"),
    [
        (1, 7, 1, 12, -0.517, -0.026),  # Bentur et al. (2009) in Fagerland, Lydersen, Laake (2014), Stat. Med. 33:2850
        (
            59,
            16,
            6,
            80,
            -0.1240,
            -0.0054,
        ),  # Cavo et al. (2012) in Fagerland, Lydersen, Laake (2017), "Statistical Analysis of Contingency Tables", ch. 8
    ],
)
def test_tango_is_the_published_interval(both: int, only_base: int, only_tuned: int, neither: int, low: float, high: float) -> None:
    rows = both + only_base + only_tuned + neither
    found = tango(only_base, only_tuned, rows)
    assert found.value == pytest.approx((only_tuned - only_base) / rows)
    assert found.low == pytest.approx(low, abs=6e-4)
    assert found.high == pytest.approx(high, abs=6e-4)


def test_tango_at_90_percent_is_that_of_the_r_package_propcis() -> None:
    found = tango(25, 28, 618, level=0.90)  # PropCIs::scoreci.mp(25, 28, 618, 0.90)
    assert (round(found.low, 4), round(found.high, 4)) == (-0.0148, 0.0247)


def test_tango_where_no_row_differs_still_has_width() -> None:
    found, z2 = tango(0, 0, 100), scipy_stats.norm.ppf(0.975) ** 2
    assert found.value == 0
    assert (found.low, found.high) == pytest.approx(
        (-z2 / (100 + z2), z2 / (100 + z2)), abs=1e-9
    )  # solved by hand: T = sqrt(n d / (1 - d))


@pytest.mark.parametrize(("only_base", "only_tuned", "rows"), [(0, 5, 5), (5, 0, 5), (1, 0, 1), (0, 1, 40), (3, 3, 6)])
def test_tango_stays_in_range_contains_the_difference_and_mirrors(only_base: int, only_tuned: int, rows: int) -> None:
    found, mirrored = tango(only_base, only_tuned, rows), tango(only_tuned, only_base, rows)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-9)


def test_tango_covers_the_truth_by_exact_enumeration() -> None:
    rows, share_base, share_tuned = 40, 0.10, 0.25
    covered = 0.0
    for b, c in product(range(rows + 1), repeat=2):
        if b + c > rows:
            continue
        chance = float(scipy_stats.multinomial.pmf([b, c, rows - b - c], rows, [share_tuned, share_base, 1 - share_base - share_tuned]))
        if chance > 1e-9:
            found = tango(c, b, rows)
            covered += chance * (found.low <= share_tuned - share_base <= found.high)
    assert 0.94 < covered < 0.965


def test_mcnemar_is_the_published_and_scipys_exact_p() -> None:
    assert mcnemar_exact(16, 6) == pytest.approx(0.052479, abs=1e-6)  # Cavo et al. (2012), as above
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(4, 4) == 1.0
    for b, c in [(0, 6), (12, 30), (700, 900)]:
        assert mcnemar_exact(b, c) == mcnemar_exact(c, b) == pytest.approx(scipy_stats.binomtest(b, b + c, 0.5).pvalue, rel=1e-9)


def test_compare_proportions_counts_the_rows_that_differ() -> None:
    base, tuned = np.array([1.0] * 75 + [0.0] * 86), np.array([1.0] * 59 + [0.0] * 16 + [1.0] * 6 + [0.0] * 80)
    found = compare_proportions(base, tuned)
    assert (found.base, found.tuned) == (wilson(75, 161), wilson(65, 161))
    assert (round(found.difference.low, 4), round(found.difference.high, 4), round(found.difference.p, 6)) == (-0.124, -0.0054, 0.052479)
    assert found.difference.test == "mcnemar"
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        compare_proportions(np.ones(3), np.ones(2))


def test_bootstrap_agrees_with_scipys_percentile() -> None:
    rows = np.random.default_rng(0).gamma(2.0, size=(150, 2))
    found = bootstrap(rows, _ratio, seed=1, resamples=4000)
    peer = scipy_stats.bootstrap(
        (rows[:, 0], rows[:, 1]),
        lambda a, b, axis: a.sum(axis) / b.sum(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=4000,
        rng=2,
    ).confidence_interval
    assert found.value == _ratio(rows)
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=0.06 * (peer.high - peer.low))


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    rows = _column(np.random.default_rng(0).random(50))
    assert bootstrap(rows, _mean, seed=3) == bootstrap(rows, _mean, seed=3)
    assert bootstrap(rows, _mean, seed=3).low != bootstrap(rows, _mean, seed=4).low


@pytest.mark.parametrize("values", [[0.4], [0.4, 0.4, 0.4], [1.0, float("nan")]])
def test_bootstrap_claims_no_bounds_where_resampling_says_nothing(values: list[float]) -> None:
    found = bootstrap(_column(values), _mean, seed=0, resamples=50)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_paired_bootstrap_uses_the_same_rows_for_both() -> None:
    base = _column(np.random.default_rng(0).normal(0, 100, size=80))
    found = paired_bootstrap(base, base + 1, _mean, seed=0)
    assert found.difference.value == pytest.approx(1)
    assert math.isnan(found.difference.low)  # every row gained exactly 1: no spread to resample
    gain = 1 + _column(np.random.default_rng(1).normal(0, 1, 80))
    noisy = paired_bootstrap(base, base + gain, _mean, seed=0).difference
    assert noisy.high - noisy.low == pytest.approx(2 * 1.96 * gain.std() / math.sqrt(80), rel=0.1)  # unpaired it would be 60
    assert (found.base, found.tuned.low) == (bootstrap(base, _mean, seed=0), bootstrap(base + 1, _mean, seed=0).low)


def test_paired_p_is_never_zero_is_one_for_equal_systems_and_agrees_with_the_interval() -> None:
    rng = np.random.default_rng(0)
    base = _column(rng.random(60))
    assert paired_bootstrap(base, base + _column(rng.random(60)) + 1, _mean, seed=0, resamples=999).difference.p == pytest.approx(2 / 1000)
    assert paired_bootstrap(base, base, _mean, seed=0).difference.p == 1.0
    for shift in (0.05, 0.1, 0.15, 0.2):
        d = paired_bootstrap(base, base + _column(rng.normal(shift, 0.5, 60)), _mean, seed=0).difference
        assert abs(d.p - 0.05) < 0.005 or (d.p < 0.05) == (d.low > 0 or d.high < 0)
    with pytest.raises(ValueError, match="same rows"):
        paired_bootstrap(base, base[:3], _mean, seed=0)


def test_percentile_intervals_cover_the_truth() -> None:
    rng, rounds = np.random.default_rng(7), 400
    hits = sum(
        f.low <= 1 / 3 <= f.high for f in (bootstrap(_column(rng.beta(1, 2, 80)), _mean, seed=s, resamples=300) for s in range(rounds))
    )
    assert 0.91 < hits / rounds < 0.98  # 0.95 less a little for n = 80, +- 3 standard errors of 400 rounds


def test_paired_bootstrap_cries_wolf_one_time_in_twenty() -> None:
    rng, rounds, alarms = np.random.default_rng(8), 400, 0
    for seed in range(rounds):
        base = _column(rng.beta(1, 2, 80))
        tuned = np.where(rng.random((80, 1)) < 0.5, base, _column(rng.beta(1, 2, 80)))
        alarms += paired_bootstrap(base, tuned, _mean, seed=seed, resamples=300).difference.p < 0.05
    assert 0.02 < alarms / rounds < 0.09


def test_rows_of_one_group_are_drawn_together() -> None:
    rng, rounds, together, alone = np.random.default_rng(9), 200, 0, 0
    groups = [group for group in range(25) for _ in range(8)]
    for seed in range(rounds):
        rows = _column(np.repeat(rng.normal(size=25), 8) + rng.normal(0, 0.3, 200))
        for is_grouped in (True, False):
            found = bootstrap(rows, _mean, seed=seed, resamples=200, groups=groups if is_grouped else None)
            hit = found.low <= 0 <= found.high
            together, alone = together + (hit and is_grouped), alone + (hit and not is_grouped)
    assert together / rounds > 0.87
    assert alone / rounds < 0.65  # what ignoring the groups would claim


def test_groups_of_one_row_change_nothing_and_one_group_says_nothing() -> None:
    rows = _column(np.random.default_rng(0).random(30))
    assert bootstrap(rows, _mean, seed=0, groups=range(30)) == bootstrap(rows, _mean, seed=0)
    assert math.isnan(bootstrap(rows, _mean, seed=0, groups=["one"] * 30).low)
    with pytest.raises(ValueError, match="2 groups for 30 rows"):
        bootstrap(rows, _mean, seed=0, groups=["a", "b"])


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_outside_0_to_1_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson(1, 2, level)
    with pytest.raises(ValueError, match="between 0 and 1"):
        bootstrap(_column([1.0, 2.0]), _mean, seed=0, level=level, resamples=5)


@pytest.mark.slow
@pytest.mark.parametrize("num_rows", [60, 200])
@pytest.mark.parametrize("kind", ["rouge", "perplexity"])
def test_bca_covers_no_better_than_percentile(num_rows: int, kind: str) -> None:
    rng, rounds, hits = np.random.default_rng(num_rows), 2000, {"percentile": 0, "BCa": 0}
    truth = 0.75 / 3 if kind == "rouge" else math.exp(math.exp(1.125))
    for seed in range(rounds):
        tokens = np.ones(num_rows) if kind == "rouge" else rng.integers(4, 40, num_rows).astype(float)
        each = (
            np.where(rng.random(num_rows) < 0.25, 0, rng.beta(1.5, 3, num_rows)) if kind == "rouge" else rng.lognormal(1.0, 0.5, num_rows)
        )
        rows, finish = np.stack([each * tokens, tokens], 1), float if kind == "rouge" else math.exp
        found = bootstrap(rows, lambda part, finish=finish: finish(_ratio(part)), seed=seed, resamples=600)  # type: ignore[misc]
        peer = scipy_stats.bootstrap(
            (rows[:, 0], rows[:, 1]),
            lambda a, b, axis: a.sum(axis) / b.sum(axis),
            paired=True,
            vectorized=True,
            method="BCa",
            n_resamples=600,
            rng=seed,
        ).confidence_interval  # of the ratio: both kinds of interval keep their coverage under exp
        hits["percentile"] += found.low <= truth <= found.high
        hits["BCa"] += finish(peer.low) <= truth <= finish(peer.high)
    percentile, bca = hits["percentile"] / rounds, hits["BCa"] / rounds
    assert percentile > 0.905
    assert percentile > bca - 0.015


def test_holm_is_the_published_example_worked_by_hand() -> None:
    # Holm (1979): the smallest of m p-values times m, the next times m - 1, ..., and none below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_holm_passes_over_tests_that_gave_no_p_value() -> None:
    found = holm([0.02, float("nan"), 0.04])
    assert math.isnan(found[1])
    assert [found[0], found[2]] == pytest.approx([0.04, 0.04])


def test_ratio_sum_of_one_part_with_equal_counts_is_students_interval() -> None:
    values = np.random.default_rng(0).normal(2.0, 0.5, (9, 1))
    found = ratio_sum(10 * values, np.full((9, 1), 10.0))
    expected = scipy_stats.t.interval(0.95, 8, loc=values.mean(), scale=scipy_stats.sem(values[:, 0]))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.value == pytest.approx(values.mean())


def test_ratio_sum_adds_the_parts_of_a_loss_and_knows_no_interval_of_one_batch() -> None:
    found = ratio_sum(np.array([[6.0, 1.0]]), np.array([[3.0, 4.0]]))
    assert found.value == 2.25
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_unpaired_difference_of_two_normal_means_adds_their_variances() -> None:
    found = unpaired_difference(Interval(1.0, 1.0 - 3.0, 1.0 + 3.0), Interval(2.0, 2.0 - 4.0, 2.0 + 4.0))
    assert (found.value, found.low, found.high) == pytest.approx((1.0, -4.0, 6.0))
