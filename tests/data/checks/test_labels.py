"""Labels: balance, labels that are judged and never learned, and texts under two of them."""

import pytest

from tests.data.checks.rows import labelled, texts
from tunesmith.data.checks.labels import find_label_balance, find_label_conflicts, label_counts, total_variation


def of(**counts: int) -> list[tuple[str, str]]:
    return [(f"{label} {number}", label) for label, count in counts.items() for number in range(count)]


def test_counts_by_split_leave_splits_without_labels_out() -> None:
    assert label_counts({"train": labelled(*of(b=2, a=1)), "test": texts("x")}) == {"train": {"a": 1, "b": 2}}


def test_total_variation_worked_by_hand() -> None:
    assert total_variation({"a": 1, "b": 3}, {"a": 2, "c": 2}) == pytest.approx((0.25 + 0.75 + 0.5) / 2)
    assert total_variation({"a": 5}, {"a": 1}) == 0


def test_balanced_splits_say_nothing() -> None:
    assert find_label_balance({"train": labelled(*of(a=20, b=22)), "test": labelled(*of(a=10, b=11))}) == []
    assert find_label_balance({"train": texts("x")}) == []


def test_a_label_that_is_judged_and_never_learned_is_an_error() -> None:
    found = find_label_balance({"train": labelled(*of(a=20, b=20)), "test": labelled(*of(a=20, b=18, c=2))})
    assert [(one.check, one.severity, one.split, one.count) for one in found] == [("unknown_labels", "error", "test", 2)]
    assert "never shows: c" in found[0].text


def test_splits_that_differ_name_the_label_that_differs_most() -> None:
    (found,) = find_label_balance({"train": labelled(*of(a=50, b=50)), "test": labelled(*of(a=8, b=32))})
    assert (found.severity, found.split) == ("warning", "train/test")
    assert "50% of train and 20% of test" in found.text


def test_one_label_a_large_majority_and_rare_labels() -> None:
    (single,) = find_label_balance({"train": labelled(*of(a=30))})
    assert (single.severity, "every row of train is a" in single.text) == ("error", True)
    (majority,) = find_label_balance({"train": labelled(*of(a=190, b=10))})
    assert (majority.severity, "95.0% of train is a" in majority.text) == ("warning", True)
    (rare,) = find_label_balance({"train": labelled(*of(a=30, b=30, c=3))})
    assert (rare.check, rare.count, "c (3)" in rare.text) == ("rare_labels", 3, True)


def test_a_text_under_two_labels_is_a_conflict_wherever_its_rows_stand() -> None:
    train = labelled(("Good  film", "pos"), ("bad film", "neg"), ("good film", "neg"), ("bad film", "neg"))
    test = labelled(("BAD FILM", "pos"), ("fine", "pos"), file="test.csv")
    (found,) = find_label_conflicts({"train": train, "test": test})
    assert (found.check, found.severity, found.split, found.count) == ("label_conflicts", "warning", "train/test", 5)
    assert found.text.startswith("2 texts stand under two labels (5 rows)")
    first, second = found.examples
    assert (first.row, first.other, first.text) == (2, "rows.csv:4", "pos and neg: Good film")
    assert (second.row, second.other) == (3, "test.csv:2")
    assert found.removes == {*(("rows.csv", row) for row in (2, 3, 4, 5)), ("test.csv", 2)}
    assert find_label_conflicts({"train": labelled(("a", "x"), ("a", "x"))}) == []
