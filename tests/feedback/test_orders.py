"""Majorities, circles and orders, worked by hand."""

import pytest

from tunesmith.feedback import PairVerdict, Settled, ordered, settle


def said(*words: str) -> list[PairVerdict]:
    """`1>2 1>2 2=3`: one judge a word."""
    found = []
    for number, word in enumerate(words):
        sign = next(sign for sign in "><=" if sign in word)
        first, second = map(int, word.split(sign))
        verdict = {">": "first", "<": "second", "=": "tie"}[sign]
        found.append(PairVerdict(f"judge {number}", first, second, verdict, ""))  # type: ignore[arg-type]
    return found


def test_more_than_half_of_the_judges_decide_a_pair() -> None:
    found = settle(said("1>2", "1>2", "1<2", "3=4", "3=4", "3>4", "5>6", "5<6", "7>8", "7=8"))
    assert found.preferred == ((1, 2),)
    assert found.tied == ((3, 4),)
    assert found.undecided == ((5, 6), (7, 8))
    assert found.in_circles == ()


def test_more_for_one_than_for_the_other_is_no_majority_where_most_say_tie() -> None:
    assert settle(said("1>2", "1>2", "1<2", "1=2", "1=2")).undecided == ((1, 2),)


def test_a_circle_of_majorities_is_left_out_and_nothing_else() -> None:
    # three judges: 1>2>3, 2>3>1, 3>1>2 (Condorcet's paradox); 4 is below all of them
    orders = [(1, 2, 3), (2, 3, 1), (3, 1, 2)]
    verdicts = [
        word
        for order in orders
        for a, b in [(order[0], order[1]), (order[0], order[2]), (order[1], order[2])]
        for word in said(f"{min(a, b)}{'>' if a < b else '<'}{max(a, b)}")
    ]
    found = settle([*verdicts, *said("1>4", "3>4")])
    assert set(found.in_circles) == {(1, 2), (2, 3), (3, 1)}
    assert found.preferred == ((1, 4), (3, 4))


@pytest.mark.parametrize(
    ("words", "order"),
    [
        ("1>2 2>3", [[1], [2], [3]]),
        ("1<2 2>3 1=3", [[2], [1, 3]]),
        ("1=2 2=3", [[1, 2, 3]]),
        ("1=2 2>3", [[1, 2], [3]]),  # that 1 is above 3 follows
        ("1>2 1>3", None),  # nobody said which of 2 and 3
        ("1>2 2>3 1<3", None),  # a circle
        ("1=2 2=3 1>3", None),  # ties that contradict a preference
    ],
)
def test_an_order_of_all_answers_is_one_that_follows(words: str, order: list[list[int]] | None) -> None:
    assert ordered(settle(said(*words.split())), [1, 2, 3]) == order


def test_answers_of_other_prompts_do_not_matter() -> None:
    settled = settle(said("1>2", "5>6", "6>7", "5<7"))
    assert ordered(settled, [1, 2]) == [[1], [2]]
    assert ordered(settled, [5, 6, 7]) is None
    assert ordered(Settled((), (), (), ()), [1, 2]) is None
