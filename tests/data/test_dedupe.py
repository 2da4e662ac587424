"""Which rows go, and which stay, worked out by hand."""

import pytest

from tunesmith.core.types import Completion, Labelled, Origin, Text
from tunesmith.data.dedupe import deduplicate, full_text
from tunesmith.data.minhash import jaccard

LONG = "the plot is thin, the acting is wooden, and the ending comes an hour too late for anybody to care about it any more"


def texts(*given: str) -> list[Text]:
    return [Text(text, Origin("a.txt", row)) for row, text in enumerate(given, start=1)]


def test_of_equal_texts_the_first_stays_whatever_their_case_and_white_space() -> None:
    found = deduplicate(texts("One  text", "other", "one text", "ONE TEXT"), None)
    assert list(found.stays) == [1, 1, 0, 0]
    assert [(repeat.origin.row, repeat.like.row, repeat.kind, repeat.similarity) for repeat in found.repeats] == [
        (3, 1, "exact", 1.0),
        (4, 1, "exact", 1.0),
    ]


def test_the_same_question_with_another_answer_is_no_repeat() -> None:
    pairs = [Completion("why?", answer, Origin("a", row)) for row, answer in enumerate(("because", "who knows", "because"), start=1)]
    assert list(deduplicate(pairs, None).stays) == [1, 1, 0]


def test_a_text_with_another_label_is_a_repeat_and_counted_as_a_conflict() -> None:
    rows = [Labelled("fine", label, Origin("a", row)) for row, label in enumerate(("good", "good", "bad"), start=1)]
    found = deduplicate(rows, None)
    assert list(found.stays) == [1, 0, 0]
    assert found.counts() == {"exact": 2, "near": 0, "exact_other": 0, "near_other": 0, "other_label": 1}


def test_near_repeats_go_only_where_that_is_asked_for() -> None:
    near = LONG.replace("an hour", "one hour")
    assert jaccard(LONG, near) > 0.85
    assert list(deduplicate(texts(LONG, near, "another thing"), None).stays) == [1, 1, 1]
    found = deduplicate(texts(LONG, near, "another thing"), 0.8)
    assert list(found.stays) == [1, 0, 1]
    assert found.repeats[0].similarity == pytest.approx(jaccard(LONG, near), abs=0.1)


def test_what_stands_in_the_other_data_goes_whatever_its_answer() -> None:
    other = [Completion("why?", "because", Origin("test", 1)), Completion("when?", LONG, Origin("test", 2))]
    rows = [
        Completion("why?", "other", Origin("a", 1)),
        Completion("when!", LONG, Origin("a", 2)),
        Completion("where?", "here", Origin("a", 3)),
    ]
    found = deduplicate(rows, 0.8, other)
    assert list(found.stays) == [0, 0, 1]
    assert [(repeat.kind, repeat.like.file, repeat.like.row) for repeat in found.repeats] == [
        ("exact_other", "test", 1),
        ("near_other", "test", 2),
    ]


def test_the_text_that_is_compared_is_question_and_answer_without_the_label() -> None:
    assert full_text(Completion("why?", "because", Origin("a", 1))) == "why?\nbecause"
    assert full_text(Labelled("one", "label", Origin("a", 1), "two")) == "one\ntwo"
