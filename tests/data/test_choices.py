"""Questions with choices, in the shapes that published sets have."""

from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Choice, Completion, Origin
from tunesmith.data import content_key, example_to_predict, read
from tunesmith.data.prediction import columns_to_predict


def only(record: dict[str, Any], **options: Any) -> Choice:
    (example,) = read([record], **options).examples
    assert isinstance(example, Choice)
    return example


def refused(record: dict[str, Any]) -> str:
    with pytest.raises(DataError) as caught:
        read([record])
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("list:1: ")
    return message


@pytest.mark.parametrize(
    "record",
    [
        # MMLU on the hub
        {"question": "2 + 2?", "subject": "maths", "choices": ["three", "four", "five", "six"], "answer": 1},
        # ARC
        {
            "id": "a",
            "question": "2 + 2?",
            "choices": {"text": ["three", "four", "five", "six"], "label": ["A", "B", "C", "D"]},
            "answerKey": "B",
        },
        {
            "id": "a",
            "question": "2 + 2?",
            "choices": {"text": ["three", "four", "five", "six"], "label": ["1", "2", "3", "4"]},
            "answerKey": "2",
        },
        # HellaSwag
        {"ind": 4, "ctx_a": "2", "ctx_b": "2", "ctx": "2 + 2?", "endings": ["three", "four", "five", "six"], "label": "1"},
        # MMLU's csv files with a header
        {"question": "2 + 2?", "A": "three", "B": "four", "C": "five", "D": "six", "answer": "B"},
        {"question": "2 + 2?", "A": "three", "B": "four", "C": "five", "D": "six", "answer": 1},
        # the list as JSON text, as a csv cell holds it, and the right one by its text
        {"question": "2 + 2?", "options": '["three", "four", "five", "six"]', "answer": "four"},
    ],
)
def test_published_shapes_are_recognised(record: dict[str, Any]) -> None:
    found = only(record)
    assert (found.question, found.choices, found.answer) == ("2 + 2?", ("three", "four", "five", "six"), 1)


def test_columns_of_other_names(tmp_path: Path) -> None:
    file = tmp_path / "quiz.csv"
    file.write_text('task,answers,right\nCapital of France?,"[""Rome"", ""Paris""]",B\n')
    (found,) = read(str(file), columns={"question": "task", "choices": "answers", "answer": "right"}).examples
    assert found == Choice("Capital of France?", ("Rome", "Paris"), 1, Origin(str(file), 2))


def test_a_question_and_its_answer_alone_are_a_pair() -> None:
    assert isinstance(read([{"question": "2 + 2?", "answer": "four"}]).examples[0], Completion)


def test_lettered_columns_may_end_early() -> None:
    assert only({"question": "q", "A": "x", "B": "y", "C": "", "answer": "A"}).choices == ("x", "y")


def test_numbers_are_choices_too_where_the_answer_is_clear() -> None:
    assert only({"question": "2 + 2?", "A": 3, "B": 4, "answer": "B"}).choices == ("3", "4")
    message = refused({"question": "2 + 2?", "choices": ["1", "2", "0"], "answer": "1"})
    assert 'holds "1": by its number that is choice 2, by its text choice 1' in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"answer": 4}, 'the column "answer" holds 4, which is none of the 2 choices'),
        ({"answer": "E"}, "none of the 2 choices"),
        ({"answer": -1}, "none of the 2 choices"),
        ({"answer": None}, 'the column "answer" is empty'),
        ({"answer": True}, 'the column "answer" holds True'),
        ({"choices": ["x"]}, "1 choice, expected at least two"),
        ({"choices": ["x", " x"]}, "choices 1 and 2 are the same"),
        ({"choices": ["x", ""]}, "choice 2 is"),
        ({"choices": "no list"}, 'the column "choices" is no JSON'),
        ({"choices": 7}, 'the column "choices" holds 7, expected a list of choices'),
        ({"choices": {"text": ["x", "y"], "label": ["A"]}}, "expected a list of choices"),
        ({"question": ""}, 'the column "question" is empty'),
    ],
)
def test_rows_that_ask_nothing_clear_are_refused(changes: dict[str, Any], words: str) -> None:
    assert words in refused({"question": "q", "choices": ["x", "y"], "answer": 0} | changes)


def test_the_question_with_its_choices_is_what_must_not_leak() -> None:
    one, other = (Choice("q", choices, 0, Origin("a", 1)) for choices in (("x", "y"), ("x", "z")))
    assert content_key(one) != content_key(other)
    assert content_key(one) == content_key(Choice(" Q", ("X", "y"), 1, Origin("b", 9)))


def test_to_predict_the_answer_may_be_missing() -> None:
    record = {"question": "q", "A": "x", "B": "y"}
    columns = columns_to_predict(list(record), Origin("a.csv", 2), format="choices", given={}, recipe={})
    assert example_to_predict(record, Origin("a.csv", 2), format="choices", columns=columns) == Choice(
        "q", ("x", "y"), None, Origin("a.csv", 2)
    )
    with pytest.raises(DataError, match='no column "choices" or "endings"'):
        columns_to_predict(["question"], Origin("a.csv", 2), format="choices", given={}, recipe={})
