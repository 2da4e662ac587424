"""Records to predict are read like the training data, without the answer."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tunesmith.core.errors import DataError, UsageError
from tunesmith.core.types import Completion, Example, Labelled, Message, Origin, Prompt, Text
from tunesmith.data import example_to_predict
from tunesmith.data.prediction import columns_to_predict

HERE = Origin("new.csv", 4)
TURNS = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
ASKED = Prompt((Message("system", "s"), Message("user", "u")), HERE)


def located(columns: str, format: str, given: Mapping[str, str] | None = None, recipe: Mapping[str, str] | None = None) -> dict[str, str]:
    return columns_to_predict(columns.split(), HERE, format=format, given=given or {}, recipe=recipe or {})


def read(record: dict[str, Any], format: str) -> Example:
    return example_to_predict(record, HERE, format=format, columns=located(" ".join(record), format))


def test_each_format_reads_its_own_kind() -> None:
    assert read({"text": "a"}, "labelled") == Labelled("a", None, HERE)
    assert read({"text": "a", "text_pair": "b"}, "labelled") == Labelled("a", None, HERE, "b")
    assert read({"premise": "a", "hypothesis": "b"}, "labelled") == Labelled("a", None, HERE, "b")
    assert read({"question": "a"}, "pairs") == Completion("a", "", HERE)
    assert read({"text": "a"}, "text") == Text("a", HERE)
    assert read({"prompt": "a"}, "messages") == Prompt((Message("user", "a"),), HERE)
    assert read({"messages": TURNS}, "messages") == ASKED


def test_a_conversation_may_be_json_text() -> None:
    assert read({"messages": json.dumps(TURNS)}, "messages") == ASKED


def test_a_last_answer_is_left_out_and_earlier_ones_are_not() -> None:
    answer = {"role": "assistant", "content": "yes"}
    again = {"role": "user", "content": "and?"}
    assert read({"messages": [*TURNS, answer]}, "messages") == ASKED
    assert read({"messages": [*TURNS, answer, again]}, "messages") == Prompt(
        (*ASKED.messages, Message("assistant", "yes"), Message("user", "and?")), HERE
    )
    with pytest.raises(DataError, match=r"new\.csv:4: no message before the assistant's"):
        read({"messages": [answer]}, "messages")


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([{"role": "user"}], r'message 1 is \{.*\}, expected \{"role"'),
        ([{"role": "user", "content": 3}], r"message 1 holds 3 \(int\), expected text"),
        ([{"role": "bot", "content": "a"}], 'message 1 has the role "bot"'),
        ("[{", "is no JSON"),
        (None, "holds None, expected a list"),
    ],
)
def test_a_broken_conversation_names_row_and_message(messages: Any, text: str) -> None:
    with pytest.raises(DataError, match=rf"new\.csv:4: .*{text}"):
        read({"messages": messages}, "messages")


def test_a_given_column_goes_before_the_recipes_and_that_before_usual_names() -> None:
    assert located("review text mine", "labelled", {"text": "mine"}, {"text": "review"}) == {"text": "mine"}
    assert located("review text", "labelled", recipe={"text": "review"}) == {"text": "review"}
    assert located("text id", "labelled", recipe={"text": "review", "label": "stars"}) == {"text": "text"}
    assert located("messages mine", "messages", {"prompt": "mine"}) == {"prompt": "mine"}


def test_a_column_that_stands_alone_needs_no_name() -> None:
    assert located("anything", "labelled", recipe={"text": "review"}) == {"text": "anything"}
    assert located("anything", "messages") == {"prompt": "anything"}


def test_a_source_is_the_one_that_stands_beside_its_target() -> None:
    assert located("source question answer", "pairs") == {"source": "question"}
    with pytest.raises(DataError, match=r"the columns source, question could each be the source\. Say which it is: --column source=COLUMN"):
        located("source question", "pairs")


def test_a_missing_column_is_named_with_what_was_found_and_the_cure() -> None:
    with pytest.raises(
        DataError,
        match=r'new\.csv:4: no column "review" or "text" or "sentence"\. Found: a, b\. Say which it is: --column text=COLUMN \(in Python, columns=',
    ):
        located("a b", "labelled", recipe={"text": "review"})
    with pytest.raises(DataError, match='no column "second"'):
        located("text b", "labelled", recipe={"text_pair": "second"})


def test_a_given_column_must_be_there_and_its_role_too() -> None:
    with pytest.raises(DataError, match=r'no column "comments" to read the text from\. Did you mean "comment"\?'):
        located("id comment", "labelled", {"text": "comments"})
    with pytest.raises(UsageError, match=r'column txt=comment: the run reads no "txt"\. Did you mean "text"\?'):
        located("id comment", "labelled", {"txt": "comment"})


def test_half_of_a_character_is_said() -> None:
    with pytest.raises(DataError, match=r'new\.csv:4: the column "text" holds \\ud83d, half of a character'):
        read({"text": "a\ud83d"}, "labelled")
    with pytest.raises(DataError, match=r"new\.csv:4: message 1 holds \\ud83d, half of a character"):
        read({"messages": [{"role": "user", "content": "a\ud83d"}]}, "messages")
