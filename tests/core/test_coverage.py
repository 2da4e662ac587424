"""What intervals and tests promise, held to by simulation and exact enumeration: 95 % of intervals hold the truth, 5 % of tests cry wolf, 80 % find what is detectable."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tunesmith.core.power import detectable_mean, detectable_proportion, mcnemar_power
from tunesmith.core.statistics import (
    Interval,
    bootstrap,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    ratio_sum,
    tango,
    unpaired_difference,
    wilson,
)

ROUNDS, RESAMPLES = 300, 250
ERROR = 3 * math.sqrt(0.95 * 0.05 / ROUNDS)
"""Three standard errors of a coverage that is measured over so many rounds."""


def mean(rows: Any) -> float:
    return float(rows.mean())


def perplexity(rows: Any) -> float:
    return float(np.exp(rows[:, 0].sum() / rows[:, 1].sum()))


def macro_f1(rows: Any) -> float:
    """Of two classes, 0 and 1."""
    both_0, only_said_1, only_said_0, both_1 = np.bincount((2 * rows[:, 0] + rows[:, 1]).astype(int), minlength=4)
    mistakes = only_said_1 + only_said_0
    return float(2 * both_0 / max(1, 2 * both_0 + mistakes) + 2 * both_1 / max(1, 2 * both_1 + mistakes)) / 2


def share(hits: Iterator[bool]) -> float:
    found = list(hits)
    return sum(found) / len(found)


def holds(found: Interval, truth: float) -> bool:
    return found.low <= truth <= found.high


def spread(rng: np.random.Generator, size: int) -> Any:
    """Scores as ROUGE's are: many zeros, the rest skewed; their mean is 0.25."""
    return np.where(rng.random((size, 1)) < 0.25, 0.0, rng.beta(1.0, 2.0, (size, 1)))


def tokens_and_nats(rng: np.random.Generator, size: int) -> Any:
    """Nats and tokens of texts whose mean is 1.5 nats a token."""
    tokens = rng.integers(5, 60, size).astype(float)
    return np.stack([tokens * rng.gamma(6.0, 0.25, size), tokens], axis=1)


def labels(rng: np.random.Generator, size: int) -> Any:
    """True and predicted of two classes, 30 % and 70 %, right four times in five."""
    true = (rng.random(size) < 0.7).astype(float)
    return np.stack([true, np.where(rng.random(size) < 0.8, true, 1 - true)], axis=1)


@pytest.mark.parametrize(("num_rows", "lowest"), [(20, 0.92), (100, 0.93), (1000, 0.94)])
def test_wilson_covers_by_exact_enumeration_over_all_shares(num_rows: int, lowest: float) -> None:
    shares, hits = np.linspace(0.02, 0.98, 49), np.arange(num_rows + 1)
    covers = np.array([[holds(wilson(int(k), num_rows), p) for k in hits] for p in shares])
    covered = (covers * scipy_stats.binom.pmf(hits[None, :], num_rows, shares[:, None])).sum(axis=1)
    assert covered.mean() == pytest.approx(0.95, abs=0.01)
    assert np.quantile(covered, 0.1) > lowest


@pytest.mark.parametrize(("num_rows", "only_base", "only_tuned"), [(60, 0.1, 0.25), (300, 0.05, 0.05), (300, 0.02, 0.08)])
def test_tango_covers(num_rows: int, only_base: float, only_tuned: float) -> None:
    rng = np.random.default_rng(num_rows)
    drawn = rng.multinomial(num_rows, [only_base, only_tuned, 1 - only_base - only_tuned], size=ROUNDS)
    covered = share(holds(tango(int(b), int(t), num_rows), only_tuned - only_base) for b, t, _ in drawn)
    assert covered == pytest.approx(0.95, abs=ERROR)


@pytest.mark.parametrize(
    ("draw", "value", "truth"),
    [
        (spread, mean, 0.25),
        (tokens_and_nats, perplexity, math.exp(1.5)),
        (labels, macro_f1, (2 * 0.24 / (0.3 + 0.38) + 2 * 0.56 / (0.7 + 0.62)) / 2),
    ],
)
@pytest.mark.parametrize("num_rows", [50, 150])
def test_the_percentile_bootstrap_covers(draw: Callable[..., Any], value: Callable[[Any], float], truth: float, num_rows: int) -> None:
    rng = np.random.default_rng(num_rows)
    covered = share(holds(bootstrap(draw(rng, num_rows), value, seed=s, resamples=RESAMPLES), truth) for s in range(ROUNDS))
    assert 0.95 - 0.03 - ERROR < covered < 0.95 + ERROR  # percentile intervals of few rows are a little too narrow


def test_below_twenty_rows_the_percentile_bootstrap_covers_too_little() -> None:
    rng = np.random.default_rng(3)

    def covered(num_rows: int) -> float:
        return share(holds(bootstrap(spread(rng, num_rows), mean, seed=s, resamples=RESAMPLES), 0.25) for s in range(ROUNDS))

    assert covered(5) < 0.9  # what the report warns of
    assert covered(20) > 0.87


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_the_paired_bootstrap_covers_the_difference(gain: float) -> None:
    rng = np.random.default_rng(11)

    def hits() -> Iterator[bool]:
        for seed in range(ROUNDS):
            base = spread(rng, 80)
            tuned = np.where(rng.random((80, 1)) < 0.5, base, spread(rng, 80)) + gain
            found = paired_bootstrap(base, tuned, mean, seed=seed, resamples=RESAMPLES).difference
            yield found.low <= gain <= found.high

    assert share(hits()) == pytest.approx(0.95, abs=ERROR + 0.01)


def test_the_clustered_bootstrap_covers_where_rows_share_a_document_and_the_plain_one_does_not() -> None:
    rng, groups = np.random.default_rng(12), [document for document in range(40) for _ in range(6)]

    def intervals(*, together: bool) -> Iterator[bool]:
        for seed in range(ROUNDS):
            base = np.repeat(rng.normal(size=40), 6)[:, None] + rng.normal(0, 0.5, (240, 1))
            gained = np.repeat(rng.normal(0.2, 0.5, 40), 6)[:, None] + rng.normal(0, 0.2, (240, 1))
            keys = groups if together else None
            found = paired_bootstrap(base, base + gained, mean, seed=seed, resamples=RESAMPLES, groups=keys).difference
            yield found.low <= 0.2 <= found.high

    assert share(intervals(together=True)) == pytest.approx(0.94, abs=ERROR + 0.01)
    assert share(intervals(together=False)) < 0.75


def test_student_intervals_of_a_loss_over_few_batches_cover_and_so_does_their_difference() -> None:
    rng, truth = np.random.default_rng(13), 0.5

    def batches(centre: float, number: int) -> Interval:
        counts = rng.integers(20, 60, (number, 1)).astype(float)
        return ratio_sum(counts * rng.normal(centre, 0.2, (number, 1)), counts)

    pairs = [(batches(1.0, 12), batches(1.0 + truth, 6)) for _ in range(ROUNDS)]
    assert share(holds(one, 1.0) for one, _ in pairs) == pytest.approx(0.95, abs=ERROR)
    assert share(holds(unpaired_difference(*pair), truth) for pair in pairs) == pytest.approx(0.95, abs=ERROR + 0.01)


def test_mcnemar_rejects_at_most_one_time_in_twenty_where_nothing_differs() -> None:
    drawn = np.random.default_rng(14).binomial(np.random.default_rng(15).binomial(200, 0.2, 4000), 0.5)
    totals = np.random.default_rng(15).binomial(200, 0.2, 4000)
    alarms = np.mean([mcnemar_exact(int(k), int(n - k)) < 0.05 for k, n in zip(drawn, totals, strict=True)])
    assert 0.015 < alarms < 0.05


def test_holm_keeps_the_chance_of_any_false_alarm_where_ten_tests_that_hang_together_would_not() -> None:
    rng = np.random.default_rng(16)
    common, own = rng.normal(size=(4000, 1)), rng.normal(size=(4000, 10))
    p_values = 2 * scipy_stats.norm.sf(np.abs(0.5 * common + math.sqrt(0.75) * own))
    assert np.mean([min(holm(list(row))) < 0.05 for row in p_values]) < 0.055
    assert np.mean(p_values.min(axis=1) < 0.05) > 0.25


def test_the_power_of_mcnemars_test_is_that_of_simulated_test_sets() -> None:
    rng, rounds = np.random.default_rng(17), 3000
    for num_rows, differing, difference in ((60, 0.3, 0.2), (200, 0.2, 0.08), (2000, 0.15, 0.03)):
        only_tuned, only_base = (differing + difference) / 2, (differing - difference) / 2
        drawn = rng.multinomial(num_rows, [only_base, only_tuned, 1 - differing], size=rounds)
        found = np.mean([mcnemar_exact(int(b), int(t)) < 0.05 for b, t, _ in drawn])
        assert mcnemar_power(difference, differing, num_rows) == pytest.approx(found, abs=3 * math.sqrt(0.25 / rounds))


@pytest.mark.parametrize(("num_rows", "num_differing"), [(40, 12), (200, 40), (2000, 300)])
def test_a_detectable_difference_of_proportions_is_found_four_times_in_five(num_rows: int, num_differing: int) -> None:
    rng, rounds, measured = np.random.default_rng(18), 400, num_differing / num_rows
    difference = detectable_proportion(num_differing, num_rows)
    differing = max(measured, difference)

    def is_found(size: float) -> bool:
        only_tuned, only_base, _ = rng.multinomial(num_rows, [(differing + size) / 2, (differing - size) / 2, 1 - differing])
        return mcnemar_exact(int(only_base), int(only_tuned)) < 0.05

    assert share(is_found(difference) for _ in range(rounds)) == pytest.approx(0.8, abs=3 * math.sqrt(0.16 / rounds))
    assert share(is_found(difference / 3) for _ in range(rounds)) < 0.25


def test_a_detectable_difference_of_means_is_found_four_times_in_five() -> None:
    rng, num_rows = np.random.default_rng(19), 120

    def pair(gain: float) -> tuple[Any, Any]:
        base = spread(rng, num_rows)
        return base, np.where(rng.random((num_rows, 1)) < 0.5, base, spread(rng, num_rows)) + gain

    told = [paired_bootstrap(*pair(0.0), mean, seed=s, resamples=RESAMPLES).difference.detectable for s in range(20)]
    gain = float(np.mean(told))
    assert np.std(told) < 0.15 * gain  # one test set says it well enough
    found = share(paired_bootstrap(*pair(gain), mean, seed=s, resamples=RESAMPLES).difference.p < 0.05 for s in range(ROUNDS))
    assert found == pytest.approx(0.8, abs=3 * math.sqrt(0.16 / ROUNDS))
    assert detectable_mean(1.0) == pytest.approx(1.959964 + 0.841621, abs=1e-6)
