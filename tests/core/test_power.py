"""Power of McNemar's test against enumeration by hand and published sample sizes; the coverage of what is promised is in test_coverage.py."""

import math
from itertools import product

import pytest
from scipy import stats as scipy_stats

from tunesmith.core.power import detectable_proportion, mcnemar_power
from tunesmith.core.statistics import compare_proportions, mcnemar_exact


def enumerated(difference: float, differing: float, num_rows: int) -> float:
    shares = [(differing - difference) / 2, (differing + difference) / 2, 1 - differing]
    counts = [(b, t) for b, t in product(range(num_rows + 1), repeat=2) if b + t <= num_rows and mcnemar_exact(b, t) < 0.05]
    return sum(float(scipy_stats.multinomial.pmf([b, t, num_rows - b - t], num_rows, shares)) for b, t in counts)


@pytest.mark.parametrize(("difference", "differing", "num_rows"), [(0.3, 0.5, 20), (0.4, 0.4, 15), (0.0, 0.6, 25), (1.0, 1.0, 6)])
def test_power_is_the_chance_of_every_table_that_the_test_rejects(difference: float, differing: float, num_rows: int) -> None:
    assert mcnemar_power(difference, differing, num_rows) == pytest.approx(enumerated(difference, differing, num_rows), abs=1e-12)


def test_power_comes_near_the_usual_formula_where_rows_are_many() -> None:
    # Connor (1987), Biometrics 43:207, eq. 3: n = (z_a sqrt(psi) + z_b sqrt(psi - delta^2))^2 / delta^2
    differing, difference = 0.2, 0.02
    num_rows = round((1.959964 * math.sqrt(differing) + 0.841621 * math.sqrt(differing - difference**2)) ** 2 / difference**2)
    assert mcnemar_power(difference, differing, num_rows) == pytest.approx(0.8, abs=0.01)
    assert detectable_proportion(round(differing * num_rows), num_rows) == pytest.approx(difference, rel=0.02)


def test_two_hundred_rows_show_a_difference_of_nine_points_not_of_three() -> None:
    detectable = detectable_proportion(40, 200)
    assert 0.08 < detectable < 0.10
    assert mcnemar_power(detectable, 0.2, 200) == pytest.approx(0.8, abs=1e-4)
    assert mcnemar_power(detectable / 3, 0.2, 200) < 0.2


def test_the_fewer_rows_differ_the_smaller_a_difference_shows_but_never_fewer_than_six_rows() -> None:
    found = [detectable_proportion(differing, 500) for differing in (0, 10, 50, 200)]
    assert found == sorted(found)
    assert found[0] >= 6 / 500  # six rows on one side are the least that the exact test calls a difference
    assert detectable_proportion(0, 6) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("num_rows", [0, 1, 3, 5])
def test_below_six_rows_nothing_can_be_seen(num_rows: int) -> None:
    assert math.isnan(detectable_proportion(0, num_rows))


def test_a_comparison_says_what_its_rows_can_show() -> None:
    found = compare_proportions([1.0] * 20 + [0.0] * 80, [0.0] * 10 + [1.0] * 20 + [0.0] * 70)
    assert found.difference.detectable == detectable_proportion(20, 100)


def test_a_difference_beyond_the_rows_that_differ_is_refused() -> None:
    with pytest.raises(ValueError, match="a difference of 0.3 with a share of 0.2"):
        mcnemar_power(0.3, 0.2, 100)
