"""Agreement beyond chance, against hand arithmetic, scikit-learn, and a published test set."""

import json
import math
import random

import pytest
from sklearn.metrics import cohen_kappa_score

from tests.real_data import real_data
from tunesmith.core.statistics import wilson
from tunesmith.evaluation.agreement import agreement, among, cohens_kappa, majority


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
