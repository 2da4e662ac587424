"""An epoch of a mixture, by hand arithmetic."""

import pytest

from tunesmith.data.mixing import rows_per_epoch

EVEN = {"large": 1.0, "small": 1.0}
SIZES = {"large": 900, "small": 100}


def test_the_set_with_the_largest_share_comes_once_and_the_others_as_their_shares_ask() -> None:
    # 900 rows are 90 % of an epoch of 1,000: 100 rows are the rest
    assert rows_per_epoch({"main": 900, "general": 5000}, {"main": 0.9, "general": 0.1}, "weights") == {"main": 900, "general": 100}


def test_a_small_set_with_a_large_share_of_the_rest_comes_more_than_once() -> None:
    assert rows_per_epoch({"main": 900, "general": 20}, {"main": 9, "general": 1}, "weights") == {"main": 900, "general": 100}


def test_equal_shares_pass_once_over_the_largest_set() -> None:
    assert rows_per_epoch(SIZES, EVEN, "weights") == {"large": 900, "small": 900}


def test_epochs_are_passes_over_each_set() -> None:
    assert rows_per_epoch(SIZES, {"large": 0.5, "small": 3}, "epochs") == {"large": 450, "small": 300}


@pytest.mark.parametrize(("temperature", "small"), [(1.0, 100), (2.0, 300), (1e9, 900)])
def test_a_temperature_flattens_the_shares_of_sizes(temperature: float, small: int) -> None:
    # T = 2: shares as sqrt(900) : sqrt(100) = 3 : 1
    assert rows_per_epoch(SIZES, EVEN, "temperature", temperature) == {"large": 900, "small": small}


def test_no_set_is_left_out_for_being_small() -> None:
    assert rows_per_epoch({"large": 10, "small": 10}, {"large": 1, "small": 0.001}, "weights") == {"large": 10, "small": 1}
