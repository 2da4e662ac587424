"""Agreement beyond chance, against hand arithmetic, scikit-learn, and a published test set."""

import json
import math
import random
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from tests.real_data import real_data
from tunesmith.core.statistics import wilson
from tunesmith.evaluation.agreement import Distance, agreement, alpha, among, cohens_kappa, krippendorffs_alpha, majority


def test_kappa_worked_by_hand() -> None:
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohens_kappa(first, second) == pytest.approx((0.7 - 0.5) / (1 - 0.5))


def test_kappa_is_scikit_learns() -> None:
    draw = random.Random(0)
    for _ in range(100):
        first = draw.choices("abc", weights=[5, 2, 1], k=30)
        second = [x if draw.random() < 0.6 else draw.choice("abc") for x in first]
        assert cohens_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


def test_raters_that_always_say_the_same_have_no_kappa() -> None:
    assert math.isnan(cohens_kappa("aaaa", "aaaa"))
    assert cohens_kappa("abab", "abab") == 1
    found = agreement("aaaa", "aaaa", seed=0)
    assert found.share == wilson(4, 4)
    assert math.isnan(found.kappa.value)


def test_a_rater_that_always_says_the_same_has_a_kappa_of_zero_without_an_interval() -> None:
    found = agreement("c" * 12, "aaaabbbbbbbc", seed=0)
    assert found.kappa.value == 0
    assert math.isnan(found.kappa.low)
    assert found.share == wilson(1, 12)


def test_agreement_has_intervals_around_its_values() -> None:
    draw = random.Random(1)
    first = draw.choices("ab", k=200)
    found = agreement(first, [x if draw.random() < 0.8 else draw.choice("ab") for x in first], seed=0)
    assert found.rows == 200
    assert found.share.low < found.share.value < found.share.high
    assert found.kappa.low < found.kappa.value < found.kappa.high
    assert found.kappa.value < found.share.value


@pytest.mark.parametrize(("votes", "most"), [(("a", "a", "b"), "a"), (("a", "b", "c"), None), (("a", "b"), None), (("a",), "a")])
def test_a_majority_is_more_than_half(votes: tuple[str, ...], most: str | None) -> None:
    assert majority(votes) == most


def test_no_rows_and_other_numbers_of_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        agreement([], [], seed=0)
    with pytest.raises(ValueError, match="shorter"):
        agreement("ab", "a", seed=0)


def test_a_published_judge_agrees_with_the_majority_of_three_people_as_scikit_learn_says() -> None:
    folder = real_data("pandalm_testset")
    people = json.loads((folder / "testset-v1.json").read_text(encoding="utf-8"))
    judge = {
        row["idx"]: str(row["gpt_result"]) for row in json.loads((folder / "gpt-3.5-turbo-testset-v1.json").read_text(encoding="utf-8"))
    }
    votes = {row["idx"]: tuple(str(row[f"annotator{n}"]) for n in (1, 2, 3)) for row in people}
    most = {row: found for row, vote in votes.items() if (found := majority(vote)) is not None and row in judge}
    found = agreement([judge[row] for row in most], list(most.values()), seed=0)
    assert found.rows > 900
    assert found.share.value == pytest.approx(sum(judge[row] == vote for row, vote in most.items()) / len(most))
    assert found.kappa.value == pytest.approx(cohen_kappa_score([judge[row] for row in most], list(most.values())))
    share, kappa = among([[votes[row][n] for row in most] for n in range(3)])
    assert found.share.value < share
    assert found.kappa.value < kappa


NOTHING = float("nan")
FOUR_OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NOTHING, NOTHING, NOTHING],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NOTHING, 3],
        [NOTHING, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NOTHING],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NOTHING],
    ]
)
"""The worked example of Krippendorff (2011), section C and D: twelve units, four observers, what is missing."""


@pytest.mark.parametrize(("distance", "value"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_the_papers_own_of_four_observers_with_missing_values(distance: Distance, value: float) -> None:
    assert krippendorffs_alpha(FOUR_OBSERVERS, distance) == pytest.approx(value, abs=5e-4)


def test_alpha_of_two_observers_is_the_papers_own() -> None:
    two_values = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], dtype=float)
    assert krippendorffs_alpha(two_values, "nominal") == pytest.approx(0.095, abs=5e-4)  # section A
    five_kinds = np.array([["abcde".index(kind) for kind in rater] for rater in ("aabbdcccedda", "babbbccceddd")], dtype=float)
    assert krippendorffs_alpha(five_kinds, "nominal") == pytest.approx(0.692, abs=5e-4)  # section B


def _as_defined(values_rn: Any, distance: Distance) -> float:
    """Observed over expected disagreement, pair by pair of values, without a table of coincidences."""
    units = [[value for value in column if not math.isnan(value)] for column in np.asarray(values_rn).T]
    units = [unit for unit in units if len(unit) > 1]
    pool = sorted(value for unit in units for value in unit)

    def apart(one: float, other: float) -> float:
        if distance == "nominal":
            return float(one != other)
        if distance == "interval":
            return (one - other) ** 2
        low, high = sorted((one, other))
        between = sum(low <= value <= high for value in pool)
        return 0.0 if low == high else (between - (pool.count(low) + pool.count(high)) / 2) ** 2

    observed = sum(apart(a, b) / (len(unit) - 1) for unit in units for a, b in permutations(unit, 2)) / len(pool)
    expected = sum(apart(a, b) for a, b in permutations(pool, 2)) / (len(pool) * (len(pool) - 1))
    return 1 - observed / expected


@pytest.mark.parametrize("distance", ["nominal", "ordinal", "interval"])
def test_alpha_is_its_definition_on_drawn_values_with_gaps(distance: Distance) -> None:
    draw = np.random.default_rng(0)
    for _ in range(10):
        truth = draw.integers(1, 6, size=20)
        values = np.clip(truth + draw.integers(-1, 2, size=(3, 20)), 1, 5).astype(float)
        values[draw.random(values.shape) < 0.3] = NOTHING
        assert krippendorffs_alpha(values, distance) == pytest.approx(_as_defined(values, distance))


def test_alpha_has_an_interval_around_its_value_and_none_where_there_is_nothing_to_say() -> None:
    draw = np.random.default_rng(1)
    truth = draw.integers(1, 6, size=200)
    values = np.clip(truth + draw.integers(-1, 2, size=(3, 200)), 1, 5).astype(float)
    found = alpha(values, "ordinal", seed=0)
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.2
    assert alpha(np.where(draw.random(values.shape) < 0.99, values, NOTHING), "ordinal", seed=0).value == pytest.approx(
        found.value, abs=0.05
    )
    for nothing in (np.full((3, 4), NOTHING), np.full((3, 4), 2.0), np.array([[1.0, NOTHING], [NOTHING, 2.0]]), np.empty((0, 0))):
        assert math.isnan(alpha(nothing, "nominal", seed=0).value)
    assert krippendorffs_alpha(np.array([[1.0, 2.0], [1.0, 2.0]]), "interval") == 1


def test_the_interval_of_alpha_holds_the_value_of_the_whole_population() -> None:
    draw = np.random.default_rng(2)
    truth = draw.integers(1, 6, size=20_000)
    values = np.clip(truth + draw.integers(-1, 2, size=(3, 20_000)), 1, 5).astype(float)
    whole = krippendorffs_alpha(values, "interval")
    held = 0
    for seed in range(25):
        found = alpha(values[:, draw.choice(20_000, 80, replace=False)], "interval", seed=seed)
        held += found.low <= whole <= found.high
    assert held >= 21  # of 25: an interval that holds it 19 times in 20 does so in all but 1 of 130 such tests


def test_three_people_of_a_published_test_set() -> None:
    people = json.loads((real_data("pandalm_testset") / "testset-v1.json").read_text(encoding="utf-8"))
    values = np.array([[row[f"annotator{n}"] for row in people] for n in (1, 2, 3)], dtype=float)
    assert krippendorffs_alpha(values, "nominal") == pytest.approx(_as_nominal_counts(values))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert cohens_kappa(*(list(map(str, values[n])) for n in (one, other))) == pytest.approx(
            cohen_kappa_score(values[one], values[other])
        )


def _as_nominal_counts(values_rn: Any) -> float:
    """Scott's pi for many raters who all rate everything (Fleiss, 1971), with the correction for a small sample that makes alpha of it."""
    raters, rows = values_rn.shape
    counts = np.array([[(column == kind).sum() for kind in np.unique(values_rn)] for column in values_rn.T])
    observed = ((counts**2).sum(1) - raters).mean() / (raters * (raters - 1))
    by_chance = ((counts.sum(0) / (raters * rows)) ** 2).sum()
    pi = (observed - by_chance) / (1 - by_chance)
    return float(pi + (1 - pi) / (raters * rows))
