"""Overlap of runs of words between training and what is measured."""

import pytest

from tests.data.checks.rows import chat, texts
from tunesmith.data.checks.leakage import find_leakage, leaks

QUESTION = "what is the name of the small village where the old man kept his nine grey horses"  # 17 words


def test_a_quoted_run_of_thirteen_words_is_found_and_twelve_are_not() -> None:
    found = QUESTION.split()
    thirteen, twelve = " ".join(found[2:15]), " ".join(found[2:14])
    learned = texts(f"someone wrote: {thirteen.upper()}!", f"someone wrote: {twelve}")
    (leak,), rows = leaks(learned, texts(QUESTION, file="suite.jsonl"))
    assert (leak.learned.origin.row, leak.evaluated.origin.file) == (1, "suite.jsonl")
    assert leak.share == pytest.approx(13 / 17)
    assert [row.origin.row for row in rows[0]] == [1]


def test_shorter_texts_are_one_run_and_the_shortest_are_compared_whole() -> None:
    nine, three = "one two three four five six seven eight nine", "thank you friend"
    learned = texts(f"before {nine} after", f"dear sir,\n{three}\nof mine and of all the others", "Thank you, friend!")
    found, _ = leaks(learned, texts(nine, three))
    assert [(leak.share, leak.learned.origin.row) for leak in found] == [(1.0, 1), (1.0, 3)]


def test_an_error_where_half_of_a_text_stands_in_training_else_a_warning() -> None:
    quoted = " ".join(QUESTION.split()[:13])
    long = f"{quoted} " + " ".join(f"word{number}" for number in range(40))
    whole, part = texts(QUESTION, file="suite.jsonl"), texts(long, file="other.jsonl")
    error, warning = find_leakage(
        {"train": [chat(f"user: {QUESTION}", "assistant: Ulm")]}, {"suite": whole, "other": part, "clean": texts("no")}
    )
    assert (error.severity, error.split, error.count) == ("error", "train/suite", 1)
    assert error.examples[0].text.startswith("100% of what is the name")
    assert error.removes == {("chats.jsonl", 1)}
    assert (warning.severity, warning.split) == ("warning", "train/other")
    assert "1 of the 1 texts of other share a run of 13 words" in warning.text


def test_a_short_text_alone_is_a_warning() -> None:
    (found,) = find_leakage({"train": texts("Nice one", "another")}, {"suite": texts("nice one!", file="suite.jsonl")})
    assert (found.severity, found.count) == ("warning", 1)


def test_nothing_to_compare_is_no_finding() -> None:
    assert find_leakage({}, {"suite": texts("a")}) == []
    assert find_leakage({"train": texts("!!!")}, {"suite": texts("...", "?")}) == []
