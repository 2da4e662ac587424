"""Verdicts are read, put together from both orders, and counted as a win rate."""

import itertools

import pytest

from tunesmith.core.statistics import tango
from tunesmith.evaluation.pairwise import BEST, EXPLAINED, Pair, question, read_letter, settled, win_rate


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("It is shorter.\nVerdict: A", "A"),
        ("verdict: b.", "B"),
        ("**Verdict:** B", "B"),
        ("**Verdict**: [[A]]", "A"),
        ("Verdict: Answer B", "B"),
        ("Verdict: tie", "tie"),
        ("VERDICT: a tie", "tie"),
        ("Verdict: A\nNo, on second thought.\nVerdict: B", "B"),
        ("B", "B"),
        (' "A". ', "A"),
        ("Answer A", "A"),
        ("Tie", "tie"),
        ("", None),
        ("Verdict: A better answer is B", None),
        ("A is better than B", None),
        ("Both are good.", None),
        ("Verdict: C", None),
        ("Verdict:", None),
    ],
)
def test_the_last_verdict_or_a_letter_alone_is_read(text: str, letter: str | None) -> None:
    assert read_letter(text) == letter


def test_a_verdict_needs_both_orders() -> None:
    letters = ("A", "B", "tie")
    found = {(straight, swapped): settled(straight, swapped) for straight, swapped in itertools.product(letters, letters)}  # type: ignore[arg-type]
    assert found.pop(("A", "B")) == "first"
    assert found.pop(("B", "A")) == "second"
    assert set(found.values()) == {"tie"}


@pytest.mark.parametrize("ending", [EXPLAINED, BEST])
def test_a_question_holds_all_texts_and_swapping_changes_their_places_alone(ending: str) -> None:
    pair = Pair("What {is} it?", "The first.", "The second.")
    straight, swapped = question(pair, ending), question(pair, ending, swapped=True)
    assert straight.index("What {is} it?") < straight.index("The first.") < straight.index("The second.")
    assert swapped == question(Pair(pair.prompt, pair.second, pair.first), ending)
    assert straight.endswith(ending)


def test_ties_count_half_and_the_interval_is_tangos() -> None:
    found = win_rate(["second"] * 5 + ["tie"] * 3 + ["first"] * 2)
    assert (found.wins, found.ties, found.losses) == (5, 3, 2)
    gap = tango(2, 5, 10)
    assert found.rate.value == pytest.approx(0.65)
    assert (found.rate.low, found.rate.high) == pytest.approx((0.5 + gap.low / 2, 0.5 + gap.high / 2))
    assert found.p == pytest.approx(2 * (1 + 7 + 21) / 2**7)


@pytest.mark.parametrize(("verdict", "rate"), [("second", 1.0), ("tie", 0.5), ("first", 0.0)])
def test_where_all_say_the_same_the_interval_still_has_a_width(verdict: str, rate: float) -> None:
    found = win_rate([verdict] * 20)  # type: ignore[list-item]
    assert found.rate.value == rate
    assert 0 <= found.rate.low <= rate <= found.rate.high <= 1
    assert 0.05 < found.rate.high - found.rate.low < 0.3


def test_no_verdicts_are_refused() -> None:
    with pytest.raises(ValueError, match="no verdicts"):
        win_rate([])
