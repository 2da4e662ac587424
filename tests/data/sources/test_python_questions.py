"""The questions about Python's pages that come with tunesmith."""

import sys
from collections import Counter

import pytest

from tunesmith.core.types import Completion
from tunesmith.data import read
from tunesmith.data.read import read_table
from tunesmith.data.sources import python_questions
from tunesmith.evaluation.metrics._squad import normal


def test_every_answer_stands_in_the_span_that_stands_in_its_page() -> None:
    pages = {record["topic"]: record["text"] for record in read_table("python-reference").records}
    rows = read_table("python-questions").records
    assert len(rows) > 150
    assert len({row["document"] for row in rows}) > 60
    assert [row for row in rows if row["references"] not in pages[row["document"]]] == []
    assert [row for row in rows if row["answer"] not in " ".join(row["references"].split())] == []


def test_no_question_is_asked_twice_or_says_its_answer() -> None:
    examples = [example for example in read("python-questions").examples if isinstance(example, Completion)]
    assert max(Counter(normal(example.source) for example in examples).values()) == 1
    assert all(example.target and normal(example.target) for example in examples)
    assert [one for one in examples if f" {' '.join(normal(one.target))} " in f" {' '.join(normal(one.source))} "] == []


@pytest.mark.skipif(sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)), reason="written for these pages")
def test_no_question_is_left_out_by_the_pages_that_it_was_written_for() -> None:
    assert read("python-questions").facts.notes == ()


def test_a_question_that_the_pages_do_not_answer_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_questions, "reference_pages", lambda source: [("while", "the page of another Python")])
    with pytest.raises(python_questions.DataError, match="hold nothing of what is asked"):
        read("python-questions")
    page = 'the pass statement\nhas no effect: "pass" is a\n   null operation — when'
    monkeypatch.setattr(python_questions, "reference_pages", lambda source: [("pass", page)])
    found = read_table("python-questions")
    assert [row["references"] for row in found.records] == ['"pass" is a\n   null operation']
    assert "169 of 170 questions are left out" in found.facts.notes[0]
