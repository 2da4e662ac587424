"""What was forgotten: ranks, corrections and budgets, worked by hand."""

import numpy as np
import pytest

from tunesmith.evaluation.forgetting import MeanReciprocalRank, first_words, halves, is_fall, reciprocal_ranks, rows_within


def test_the_first_words_are_cut_as_they_are_written() -> None:
    text = "  def f(x):\n    return x\n\nf(1)  "
    assert first_words(text, 3) == "  def f(x):\n    return"
    assert first_words(text, 5) == "  def f(x):\n    return x\n\nf(1)"
    assert [first_words(given, 2) for given in ("", " ", "one")] == ["", " ", "one"]


def test_halves_are_of_as_many_words_and_lose_none() -> None:
    assert halves("one two  three\nfour five") == ("one two", "three four five")
    assert halves("one") == ("", "one")


def test_reciprocal_ranks_are_those_worked_by_hand() -> None:
    # cosines: first 0 is nearest to second 1, then to its own; first 1 to its own
    first = np.array([[1.0, 0.0], [0.0, 1.0]])
    second = np.array([[0.6, 0.8], [0.8, 0.6]])
    # s = [[.6, .8], [.8, .6]]: every own half is second, whichever way it is asked
    assert reciprocal_ranks(first, second) == pytest.approx([0.5, 0.5])
    # s = [[.6, -1], [.8, 0]]: the rows ask for .6 (first) and 0 (second); the columns for .6 (second) and 0 (first)
    assert reciprocal_ranks(first, np.array([[0.6, 0.8], [-1.0, 0.0]])) == pytest.approx([(1 + 1 / 2) / 2, (1 / 2 + 1) / 2])


def test_halves_that_are_told_apart_rank_first_whatever_the_vectors_lengths() -> None:
    vectors = np.eye(5)
    assert reciprocal_ranks(3 * vectors, 0.1 * vectors).tolist() == [1.0] * 5


def test_vectors_that_are_all_the_same_tell_nothing_apart() -> None:
    same = np.ones((5, 3))
    assert reciprocal_ranks(same, same) == pytest.approx([1 / 3] * 5)  # the mean rank of five equal ones
    assert np.isfinite(reciprocal_ranks(np.zeros((4, 3)), same[:4])).all()


def test_the_measure_is_the_mean() -> None:
    assert MeanReciprocalRank().value(np.array([[1.0], [0.5], [0.25]])) == pytest.approx(1.75 / 3)


@pytest.mark.parametrize(
    ("difference", "p", "higher_is_better", "fell"),
    [(-0.1, 0.01, True, True), (-0.1, 0.06, True, False), (0.1, 0.01, True, False), (0.1, 0.01, False, True), (-0.1, 0.01, False, False)],
)
def test_a_fall_is_worse_and_certain(difference: float, p: float, higher_is_better: bool, fell: bool) -> None:
    assert is_fall(difference, p, higher_is_better=higher_is_better) is fell


def test_as_many_rows_are_asked_as_fit_the_same_of_every_task() -> None:
    lengths = {"prose": [10] * 200, "code": [20] * 79}
    assert rows_within(lengths, 100 * 10 + 79 * 20) == {"prose": 100, "code": 79}
    assert rows_within(lengths, 100 * 10 + 79 * 20 - 1) == {"prose": 70, "code": 70}
    assert rows_within(lengths, 20 * 10 + 20 * 20) == {"prose": 20, "code": 20}


def test_the_last_tasks_are_left_out_where_not_even_twenty_rows_fit() -> None:
    lengths = {"prose": [10] * 200, "code": [20] * 79}
    assert rows_within(lengths, 20 * 10 + 20 * 20 - 1) == {"prose": 50}
    assert rows_within(lengths, 20 * 10 - 1) == {}
    assert rows_within({}, 1000) == {}
