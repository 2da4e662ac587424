"""Two sets are told apart by what differs in them, and by nothing where nothing does."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.data.checks.rows import labelled, texts
from tunesmith.core.statistics import Interval, wilson
from tunesmith.core.types import Labelled
from tunesmith.data.checks.shift import Shift, difference_of_proportions, find_shift, measure_shift

COMMON = "the a of it was is and very so then there here with for".split()
GOOD, BAD = "good great fine lovely".split(), "bad dull poor awful".split()
MAIL = "dear regards attached meeting list".split()
SLANG_GOOD, SLANG_BAD = "lit fire goat".split(), "mid cringe yikes".split()


def written(number: int, label: str, words: tuple[list[str], list[str]], topic: list[str], seed: int) -> str:
    draw = random.Random(f"{seed}-{number}")
    mood = words[0] if label == "pos" else words[1]
    found = draw.choices(COMMON, k=8) + draw.choices(topic, k=2) + draw.choices(mood, k=2)
    draw.shuffle(found)
    return f"{' '.join(found)} n{number}x"


def rows(count: int, words: tuple[list[str], list[str]], topic: list[str], seed: int, file: str) -> list[Labelled]:
    labels = ["pos" if number % 2 else "neg" for number in range(count)]
    return labelled(*((written(number, label, words, topic, seed), label) for number, label in enumerate(labels)), file=file)


def test_two_halves_of_one_set_are_not_told_apart() -> None:
    shift = measure_shift(rows(150, (GOOD, BAD), MAIL, 1, "a.csv"), rows(150, (GOOD, BAD), MAIL, 2, "b.csv"))
    assert isinstance(shift, Shift)
    assert shift.auc.low < 0.5 < shift.auc.high + 0.02
    assert shift.at_risk is not None
    assert shift.at_risk.fall.low < 0 < shift.at_risk.fall.high + 0.01
    assert shift.at_risk.own.value > 0.95
    (found,) = find_shift(shift)
    assert found.severity == "note"


def test_a_set_with_other_words_is_told_by_them_and_costs_accuracy_that_rows_of_it_repair() -> None:
    shift = measure_shift(
        rows(200, (GOOD, BAD), MAIL, 1, "a.csv"), rows(300, (SLANG_GOOD, SLANG_BAD), ["lol", "omg"], 2, "b.csv"), ("mails", "chats")
    )
    assert isinstance(shift, Shift)
    assert shift.auc.value > 0.99
    assert {word.word for word in shift.words_of_other[:2]} <= {"lol", "omg", *SLANG_GOOD, *SLANG_BAD}
    assert {word.word for word in shift.words_of_first} >= set(MAIL)
    lol = next(word for word in shift.words_of_other if word.word == "lol")
    assert (lol.share > 0.6, lol.share_elsewhere) == (True, 0.0)
    risk = shift.at_risk
    assert risk is not None
    assert risk.own.value > 0.95
    assert risk.other.value < 0.7
    assert risk.fall.low > 0.2
    assert risk.reachable.value > 0.95
    assert risk.repaired is not None
    assert (risk.num_repair, risk.repaired.value > 0.9, risk.majority) == (200, True, 0.5)
    (found,) = find_shift(shift)
    assert (found.severity, found.split) == ("warning", "mails/chats")
    assert "is at risk (0." in found.text


def test_vectors_tell_apart_what_words_do_not() -> None:
    first, other = rows(100, (GOOD, BAD), MAIL, 1, "a.csv"), rows(100, (GOOD, BAD), MAIL, 2, "b.csv")
    of_other = {row.text for row in other}

    def vectors(texts: Sequence[str]) -> Any:
        """(2 or 1 of the text's own set, noise); the text numbered 7 lies furthest out on its side."""
        noise = np.random.default_rng(0).normal(size=len(texts))
        far = [3.0 if "n7x" in text else 1.0 for text in texts]
        return np.stack([[away if text in of_other else -away for text, away in zip(texts, far, strict=True)], noise], axis=1)

    shift = measure_shift(first, other, ("mails", "others"), ("tiny", vectors))
    assert isinstance(shift, Shift)
    assert shift.auc.low < 0.5 < shift.auc.high + 0.02
    assert shift.embedded is not None
    assert (shift.embedded.model, shift.embedded.auc.value) == ("tiny", 1.0)
    assert [place.row for place in (shift.embedded.texts_of_first[0], shift.embedded.texts_of_other[0])] == [
        first[7].origin.row,
        other[7].origin.row,
    ]
    assert [place.split for place in (shift.embedded.texts_of_first[0], shift.embedded.texts_of_other[0])] == ["mails", "others"]
    (found,) = find_shift(shift)
    assert found.severity == "warning"
    assert "One of the vectors of tiny: 1.000" in found.text


def test_vectors_that_say_nothing_tell_nothing() -> None:
    def vectors(texts: Sequence[str]) -> Any:
        return np.random.default_rng(1).normal(size=(len(texts), 4))

    shift = measure_shift(rows(150, (GOOD, BAD), MAIL, 1, "a.csv"), rows(150, (GOOD, BAD), MAIL, 2, "b.csv"), embed=("tiny", vectors))
    assert isinstance(shift, Shift)
    assert shift.embedded is not None
    assert shift.embedded.auc.low < 0.5 < shift.embedded.auc.high
    (found,) = find_shift(shift)
    assert found.severity == "note"


def test_it_does_not_depend_on_the_order_and_copies_count_once() -> None:
    one, two = rows(60, (GOOD, BAD), MAIL, 1, "a.csv"), rows(60, (SLANG_GOOD, SLANG_BAD), MAIL, 2, "b.csv")
    first, again = measure_shift(one, two), measure_shift([*reversed(one), *one], [*two, *two])
    assert isinstance(first, Shift)
    assert isinstance(again, Shift)
    assert (again.num_first, again.num_other) == (60, 60)
    assert again.auc.value == pytest.approx(first.auc.value, abs=1e-3)


def test_without_common_labels_the_risk_is_unknown_and_said_why() -> None:
    one = rows(40, (GOOD, BAD), MAIL, 1, "a.csv")
    unlabelled = measure_shift(one, texts(*(row.text + " more" for row in one)))
    assert isinstance(unlabelled, Shift)
    assert unlabelled.at_risk is None
    assert "only where both sets have labels" in unlabelled.why_not
    others = labelled(*((row.text + " too", "spam") for row in one), file="c.csv")
    shift = measure_shift(one, others)
    assert isinstance(shift, Shift)
    assert shift.why_not.endswith("the same labels: neg, pos; spam.")
    assert "Only where" in find_shift(shift)[0].text or "The accuracy at risk" in find_shift(shift)[0].text


def test_too_few_texts_are_said_to_be() -> None:
    assert measure_shift(texts("a", "b"), texts("c"), ("train", "chats")) == (
        "train has 2 distinct texts, too few to tell anything from: 20 are needed."
    )


def test_the_difference_of_two_proportions_is_newcombes_example() -> None:
    # Newcombe (1998), table II, example (a), method 10: 56/70 - 48/80 = 0.2 (0.0524 to 0.3339)
    found = difference_of_proportions(wilson(56, 70), wilson(48, 80))
    assert found == Interval(pytest.approx(0.2), pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))  # type: ignore[arg-type]
