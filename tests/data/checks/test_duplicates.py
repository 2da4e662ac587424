"""Copies and near copies, in a split and across; near ones held against the exact Jaccard index."""

import random

import pytest

from tests.data.checks.rows import labelled, pair, texts
from tunesmith.core.types import Text
from tunesmith.data.checks.duplicates import find_duplicates, find_near_duplicates
from tunesmith.data.minhash import jaccard


def word(draw: random.Random) -> str:
    return "".join(draw.choices("abcdefghijklmnoprstuvz", k=5))


def sentence(draw: random.Random, length: int = 40) -> str:
    return " ".join(word(draw) for _ in range(length))


def altered(text: str, draw: random.Random, changes: int) -> str:
    found = text.split()
    for place in draw.sample(range(len(found)), changes):
        found[place] = word(draw)
    return " ".join(found)


def test_a_copy_in_a_split_keeps_the_first() -> None:
    rows = labelled(("A film", "x"), ("b", "x"), ("a  FILM", "x"), ("a film", "y"), ("a film", "x"))
    (found,) = find_duplicates({"train": rows})
    assert (found.check, found.severity, found.count) == ("duplicates", "warning", 2)
    assert [(place.row, place.other) for place in found.examples] == [(4, "rows.csv:2"), (6, "rows.csv:2")]
    assert found.removes == {("rows.csv", 4), ("rows.csv", 6)}


def test_a_question_with_another_answer_is_no_copy() -> None:
    assert find_duplicates({"train": [pair("why?", "because"), pair("why?", "no idea", 2)]}) == []
    (found,) = find_duplicates({"train": [pair("why?", "because"), pair("Why?", "because", 2)]})
    assert found.count == 1


def test_a_text_in_two_splits_is_an_error_and_leaves_the_first_of_them() -> None:
    splits = {"train": texts("a", "b", "c"), "validation": texts("x", file="v.txt"), "test": texts("B", "d", "c", file="t.txt")}
    (found,) = find_duplicates(splits)
    assert (found.check, found.severity, found.split, found.count) == ("overlap", "error", "train/test", 2)
    assert [(place.split, place.row, place.other) for place in found.examples] == [("train", 2, "t.txt:1"), ("train", 3, "t.txt:3")]
    assert found.removes == {("texts.txt", 2), ("texts.txt", 3)}


@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_near_copies_are_those_that_the_exact_index_finds_but_for_those_at_its_edge(threshold: float) -> None:
    draw = random.Random(0)
    originals = [sentence(draw) for _ in range(60)]
    copies = [altered(text, draw, number % 14) for number, text in enumerate(originals)]
    (across,) = [
        one
        for one in find_near_duplicates({"train": texts(*copies), "test": texts(*originals, file="t.txt")}, threshold)
        if "/" in one.split
    ]
    exact = {
        row: jaccard(copy, original)
        for row, (copy, original) in enumerate(zip(copies, originals, strict=True), start=1)
        if copy != original
    }
    found = {row for _, row in across.removes}
    assert {row for row, share in exact.items() if share > threshold + 0.1} <= found
    assert found <= {row for row, share in exact.items() if share > threshold - 0.1}
    assert 5 < len(found) < 54


def test_near_copies_in_a_split_are_a_note_and_across_a_warning_with_their_likeness() -> None:
    draw = random.Random(1)
    text = sentence(draw)
    near = altered(text, draw, 1)
    within, across = find_near_duplicates({"train": texts(text, near, sentence(draw)), "test": texts(altered(text, draw, 1), file="t.txt")})
    assert (within.severity, within.count, within.removes) == ("note", 1, frozenset())
    assert (across.check, across.severity, across.split, across.count) == ("near_overlap", "warning", "train/test", 2)
    assert within.examples[0].text.startswith(f"{jaccard(text, near):.2f} alike: ")
    assert within.examples[0].other == "texts.txt:1"


def test_exact_copies_are_not_near_ones() -> None:
    rows: list[Text] = texts("the very same long sentence of a text", "The very same long sentence of a text")
    assert find_near_duplicates({"train": rows, "test": texts("the very same long sentence of a text", file="t.txt")}) == []
