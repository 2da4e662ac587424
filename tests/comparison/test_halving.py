"""Successive halving, worked by hand."""

import math

from tunesmith.comparison.halving import Round, best_first, rounds


def test_a_third_of_the_settings_goes_on_to_three_times_the_rows() -> None:
    assert rounds(9) == [Round(9, 1 / 9), Round(3, 1 / 3)]
    assert rounds(3) == [Round(3, 1 / 3)]
    assert rounds(2) == [Round(2, 1 / 3)]
    assert rounds(10) == [Round(10, 1 / 27), Round(4, 1 / 9), Round(2, 1 / 3)]
    assert rounds(27) == [Round(27, 1 / 27), Round(9, 1 / 9), Round(3, 1 / 3)]


def test_a_single_setting_is_not_searched() -> None:
    assert rounds(1) == rounds(0) == []


def test_a_round_costs_no_more_than_one_training_where_the_settings_are_a_power_of_three() -> None:
    for count in (3, 9, 27):
        assert all(math.isclose(one.num_settings * one.fraction, 1.0) for one in rounds(count))


def test_the_best_value_comes_first_then_the_lower_loss_then_the_first() -> None:
    told = [(0.8, 0.5), (0.9, 0.7), (0.9, 0.6), (0.8, 0.5)]
    assert best_first(told, higher_is_better=True) == [2, 1, 0, 3]
    assert best_first([(2.0, 2.0), (1.5, 1.5)], higher_is_better=False) == [1, 0]


def test_what_diverged_comes_last() -> None:
    assert best_first([(math.nan, math.nan), (0.2, 3.0)], higher_is_better=True) == [1, 0]
    assert best_first([(math.nan, math.nan), (9.0, 9.0)], higher_is_better=False) == [1, 0]
