"""What may be said of answers, and what a ranking says of its pairs."""

from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.statistics import wilson
from tunesmith.feedback import Grades, NewItem, NewResponse, PairChoice, PairVerdict, Ranking, check_ranks, gold_scores, verdicts_of


@pytest.mark.parametrize("grade", [0, 6, 2.5, "3", True, None])
def test_a_grade_is_a_whole_number_from_1_to_5(grade: Any) -> None:
    with pytest.raises(DataError, match=rf"coherence: found {grade!r}, expected a whole number from 1 to 5\."):
        Grades(1, grade, 5)


def test_two_equal_answers_are_refused() -> None:
    with pytest.raises(DataError, match="responses 1 and 3 are the same text, so nobody can tell them apart"):
        NewItem(({"role": "user", "content": "?"},), (NewResponse("a"), NewResponse("b"), NewResponse("a")))


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ({"a": 1, "b": 3}, r"ranks: found 1, 3, expected none to be left out: equal ranks are a tie, and the next is one more \(1, 1, 2\)"),
        ({"a": 2, "b": 2}, "ranks: found 2, 2, expected none to be left out"),
        ({"a": 1, "b": 1, "c": 3}, "ranks: found 1, 1, 3, expected none to be left out"),
        ({"a": 1, "z": 2}, "ranks: no response 'z'. Known: a, b, c."),
        ({"a": 1}, "ranks: found 1 of them, expected those of at least two"),
        ({"a": 0, "b": 1}, "ranks: found 0, expected whole numbers from 1"),
        ({"a": 1, "b": "2"}, "ranks: found '2', expected whole numbers from 1"),
    ],
)
def test_ranks_that_are_none_are_named(ranks: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_ranks(ranks, "abc")


def test_ties_are_ranks_too() -> None:
    check_ranks({"a": 1, "b": 1, "c": 2}, "abc")
    check_ranks({"a": 1, "b": 1}, "abc")


def test_a_ranking_is_its_pairs_and_the_latest_word_on_a_pair_counts() -> None:
    ranking = Ranking("ann", 1, {3: 1, 1: 2, 2: 2}, "", "2026-01-02")
    before = PairChoice("ann", 1, 3, "first", None, "", "2026-01-01")
    after = PairChoice("ann", 1, 2, "second", None, "", "2026-01-03")
    found = {(one.first, one.second): one.verdict for one in verdicts_of([before, after], [ranking])}
    assert found == {(1, 2): "second", (1, 3): "second", (2, 3): "second"}


def test_gold_is_counted_for_each_judge_apart() -> None:
    gold = {(1, 2): "first", (3, 4): "tie", (5, 6): "second"}
    said = [("ann", 1, 2, "first"), ("ann", 3, 4, "tie"), ("ann", 5, 6, "first"), ("bob", 1, 2, "second"), ("bob", 7, 8, "first")]
    found = gold_scores([PairVerdict(*one, "") for one in said], gold, ["ann", "bob", "eve"])  # type: ignore[arg-type]
    assert [(one.judge, one.right, one.judged) for one in found] == [("ann", 2, 3), ("bob", 0, 1), ("eve", 0, 0)]
    assert found[0].share == wilson(2, 3)
