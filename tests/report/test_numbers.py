"""Numbers as people read them."""

import pytest

from tunesmith.report import numbers


@pytest.mark.parametrize(
    ("low", "high", "decimals"),
    [
        (0.829, 0.861, 3),  # half width 0.016: two digits of it are thousandths
        (0.6, 0.9, 2),
        (19.0, 22.2, 1),
        (100, 140, 0),
        (0.51, 0.51, 3),  # no width says nothing
        (1e-9, 2e-9, 6),
    ],
)
def test_half_width_of_the_interval_keeps_two_digits(low: float, high: float, decimals: int) -> None:
    assert numbers.decimals_for((low, high)) == decimals


def test_widest_interval_decides_but_the_narrow_one_still_shows_its_width() -> None:
    assert numbers.decimals_for((30.0, 34.0), (8.11, 8.13)) == 2
    assert numbers.decimals_for((30.0, 34.0), (8.0, 8.6)) == 1


def test_a_very_narrow_interval_adds_no_digits_that_nobody_knows_of_the_widest() -> None:
    assert numbers.decimals_for((11.274, 13.792), (0.0021, 0.0032)) == 2


def test_minus_is_a_minus_sign_and_zero_has_none() -> None:
    assert numbers.fixed(-0.25, 2) == "−0.25"
    assert numbers.fixed(-0.001, 2) == "0.00"
    assert numbers.signed(0.165, 3) == "+0.165"
    assert numbers.signed(-0.0004, 3) == "0.000"
    assert numbers.signed(0.0004, 3) == "0.000"


def test_interval_has_a_dash_only_where_no_minus_runs_into_it() -> None:
    assert numbers.interval(0.829, 0.861, 3) == "0.829–0.861"
    assert numbers.interval(-0.012, 0.004, 3) == "−0.012 to 0.004"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.6931, "0.693"),
        (12.345, "12.3"),
        (1234.5, "1,230"),
        (0.0002, "2e−4"),
        (-0.5, "−0.500"),
        (0, "0"),
        (9.999, "10.0"),
        (float("nan"), "–"),
    ],
)
def test_significant_digits(value: float, text: str) -> None:
    assert numbers.significant(value) == text


@pytest.mark.parametrize(("value", "text"), [(4000, "4,000"), (12, "12"), (1_234_567.4, "1,234,567")])
def test_count_separates_thousands(value: float, text: str) -> None:
    assert numbers.count(value) == text


@pytest.mark.parametrize(("value", "text"), [(9999, "9,999"), (443_906, "444 k"), (23_157_122, "23.2 M"), (1_240_000_000, "1.24 B")])
def test_large_counts_in_three_digits(value: float, text: str) -> None:
    assert numbers.compact(value).replace("\u202f", " ") == text


@pytest.mark.parametrize(("share", "text"), [(0.0191, "1.9 %"), (0.48, "48 %"), (1.0, "100 %"), (0.0, "0 %"), (0.00001, "<0.01 %")])
def test_percent(share: float, text: str) -> None:
    assert numbers.percent(share).replace("\u202f", " ") == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1e-30, "p < 0.001"),
        (0.00099, "p < 0.001"),
        (0.0042, "p = 0.004"),
        (0.03, "p = 0.03"),
        (0.0496, "p = 0.050"),
        (0.0512, "p = 0.051"),
        (0.41, "p = 0.41"),
        (1.0, "p = 1.00"),
    ],
)
def test_p_value(p: float, text: str) -> None:
    assert numbers.p_value(p).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.421, "0.42 s"),
        (8.12, "8.1 s"),
        (9.97, "10 s"),
        (42.4, "42 s"),
        (59.7, "1 min 00 s"),
        (66.3, "1 min 06 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (273600, "3 d 04 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert numbers.duration(seconds).replace("\u202f", " ") == text


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(712, "712 B"), (3_612_000, "3.61 MB"), (913_400_000, "913 MB"), (999_700_000, "1.00 GB"), (1_420_000_000, "1.42 GB")],
)
def test_size_in_decimal_units(num_bytes: float, text: str) -> None:
    assert numbers.size(num_bytes).replace("\u202f", " ") == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "$0"), (0.00042, "$0.00042"), (0.0096, "$0.0096"), (0.1, "$0.10"), (1.254, "$1.25"), (1240.4, "$1,240")]
)
def test_dollars_have_two_digits_at_least(value: float, text: str) -> None:
    assert numbers.usd(value) == text
