import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import DataError, UsageError
from tunesmith.core.types import Chat, Completion, Labelled, Text
from tunesmith.data import read


def rows(*records: dict[str, Any]) -> list[dict[str, Any]]:
    return list(records)


def refused(source: Any, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"text": "a", "label": "x"}, Labelled),
        ({"sentence": "a", "label": 0, "idx": 3}, Labelled),
        ({"premise": "a", "hypothesis": "b", "label": 0}, Labelled),
        ({"text": "a"}, Text),
        ({"text": "a", "topic": "b"}, Text),
        ({"source": "a", "target": "b"}, Completion),
        ({"prompt": "a", "completion": "b"}, Completion),
        ({"question": "a", "answer": "b"}, Completion),
        ({"input": "a", "output": "b"}, Completion),
        ({"instruction": "a", "output": "b"}, Completion),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "prompt": "a"}, Chat),
    ],
)
def test_the_format_is_found_from_the_columns(record: dict[str, Any], kind: type) -> None:
    assert type(read(rows(record)).examples[0]) is kind


def test_two_texts_are_read_as_a_pair() -> None:
    (example,) = read(rows({"premise": "a", "hypothesis": "b", "label": "x"})).examples
    assert isinstance(example, Labelled)
    assert (example.text, example.text_pair) == ("a", "b")


def test_columns_named_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("id,review,sentiment\n7,fine film,positive\n8,dull film,negative\n")
    dataset = read(file, columns={"text": "review", "label": "sentiment"})
    assert dataset.facts.labels == ("negative", "positive")
    first = dataset.examples[0]
    assert isinstance(first, Labelled)
    assert (first.text, first.label, first.origin.file, first.origin.row) == ("fine film", "positive", str(file), 2)
    assert len(dataset.facts.sha256) == 64


def test_a_role_that_is_given_leaves_the_other_to_be_found() -> None:
    (pair,) = read(rows({"ask": "a", "answer": "b"}), columns={"source": "ask", "target": "answer"}).examples
    assert isinstance(pair, Completion)
    (labelled,) = read(rows({"review": "a", "label": "b"}), columns={"text": "review"}).examples
    assert isinstance(labelled, Labelled)
    (text,) = read(rows({"body": "a"}), columns={"text": "body"}).examples
    assert isinstance(text, Text)


def test_unclear_columns_are_listed_with_the_keys_to_set() -> None:
    message = refused(rows({"a": "x", "b": "y"}))
    assert "the columns a, b mean" in message
    assert "data.columns.text=COLUMN" in message
    assert "data.format" in message
    assert "needs source, target" in refused(rows({"a": "x"}), format="pairs")
    several = refused(rows({"prompt": "x", "completion": "y", "question": "z", "answer": "w"}))
    assert "prompt, completion, question, answer" in several


def test_a_format_or_column_that_is_not_there_names_the_nearest() -> None:
    assert 'data.columns.text: no column "revew". Did you mean "review"' in refused(
        rows({"review": "x", "label": "y"}), columns={"text": "revew"}
    )
    assert "the format text has no such role" in refused(rows({"text": "x", "label": "y"}), columns={"label": "label"}, format="text")
    with pytest.raises(UsageError, match='labeled: unknown format. Did you mean "labelled"'):
        read(rows({"text": "x"}), format="labeled")


def test_rows_without_their_text_label_or_answer_are_named() -> None:
    assert 'list:2: no column "text"' in refused(rows({"text": "a", "label": "x"}, {"label": "x"}))
    assert 'list:2: the column "text" is empty' in refused(rows({"text": "a", "label": "x"}, {"text": " \n", "label": "x"}))
    assert 'list:2: the column "label" is empty' in refused(rows({"text": "a", "label": "x"}, {"text": "b", "label": None}))
    assert 'list:1: the column "target" is empty' in refused(rows({"source": "a", "target": ""}))
    assert 'list:1: the column "text" holds 7 (int), expected text' in refused(rows({"text": 7, "label": "x"}))
    assert "expected the name or number of a class" in refused(rows({"text": "a", "label": {"x": 1}}))


def test_messages_may_be_json_text() -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (example,) = read(rows({"messages": json.dumps(turns)})).examples
    assert isinstance(example, Chat)
    assert [message.role for message in example.messages] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nonsense", "is no JSON"),
        ([], "expected a list"),
        ([{"from": "human", "text": "x"}], "message 1 is"),
        ([{"role": "bard", "content": "x"}], 'has the role "bard". Known: system, developer, user, assistant'),
        ([{"role": "user", "content": ["x"]}], "expected text"),
        ([{"role": "user", "content": "x"}], "no message of the assistant"),
        ([{"role": "user", "content": "x"}, {"role": "assistant", "content": " "}], "message 2 of the assistant is empty"),
        (
            [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}, {"role": "assistant", "content": "z"}],
            "a system message after the first",
        ),
    ],
)
def test_broken_conversations_are_named(value: Any, said: str) -> None:
    message = refused(rows({"messages": value}))
    assert message.startswith("list:1: ")
    assert said in message


def test_a_label_map_names_the_classes_in_order() -> None:
    dataset = read(rows({"text": "a", "label": 1}, {"text": "b", "label": 0}), labels={"0": "negative", "1": "positive"})
    assert dataset.facts.labels == ("negative", "positive")
    assert [example.label for example in dataset.examples if isinstance(example, Labelled)] == ["positive", "negative"]
    assert read(rows({"text": "a", "label": "b"}), labels=["a", "b"]).facts.labels == ("a", "b")


def test_a_name_that_is_nothing_is_refused_with_the_nearest_alias() -> None:
    assert 'Did you mean "movie-reviews"' in refused("movie reviews")


def test_the_task_is_recorded() -> None:
    assert read(rows({"text": "a"}), task="demo").examples[0].origin.task == "demo"
