"""What is converted without a loss comes back as the same conversation; what is not says what it loses."""

from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Call, Chat, Completion, Example, Labelled, Message, Origin, Text
from tunesmith.data import read
from tunesmith.data.convert import (
    ANSWER,
    BORDER,
    LABEL,
    LEARNED,
    NOT_LEARNED,
    SPEAKERS,
    convert,
    is_of_several_turns,
    kept_columns,
)

HERE = Origin("list", 1)
SYSTEM, ASK, ANSWERED = Message("system", "be brief"), Message("user", "why?"), Message("assistant", "because")
AGAIN, LAST = Message("user", "and then?"), Message("assistant", "nothing")
SILENT = Message("assistant", "because", learned=False)

SINGLE = Chat((ASK, ANSWERED), HERE)
LONG = Chat((SYSTEM, ASK, ANSWERED, AGAIN, LAST), HERE)
WEIGHED = Chat((SYSTEM, ASK, SILENT, AGAIN, LAST), HERE)
PAIR = Completion("why?", "because", HERE)
LABELLED = Labelled("fine", "good", HERE)
TWO = Labelled("a man sleeps", "no", HERE, "a man runs")


def turns(example: Example) -> list[tuple[str, str, bool]]:
    """A conversation as what is said, and which answers are learned."""
    if isinstance(example, Completion):
        return [("user", example.source, True), ("assistant", example.target, True)]
    if isinstance(example, Labelled):
        return [("user", example.text, True), ("assistant", example.label or "", True)]
    assert isinstance(example, Chat)
    return [(m.role, m.content, m.learned or m.role != "assistant") for m in example.messages]


def back(record: dict[str, Any]) -> Example:
    return read([record]).examples[0]


@pytest.mark.parametrize(
    ("example", "to", "record"),
    [
        (SINGLE, "messages", {"messages": [{"role": "user", "content": "why?"}, {"role": "assistant", "content": "because"}]}),
        (PAIR, "sharegpt", {"conversations": [{"from": "human", "value": "why?"}, {"from": "gpt", "value": "because"}]}),
        (LONG, "alpaca", {"instruction": "and then?", "input": "", "output": "nothing", "system": "be brief", "history": [["why?", "because"]]}),
        (SINGLE, "pairs", {"prompt": "why?", "completion": "because"}),
        (LABELLED, "pairs", {"prompt": "fine", "completion": "good"}),
        (PAIR, "labelled", {"text": "why?", "label": "because"}),
        (TWO, "labelled", {"text": "a man sleeps", "text_pair": "a man runs", "label": "no"}),
        (Text("words", HERE), "text", {"text": "words"}),
    ],
)  # fmt: skip
def test_a_record_is_written_as_its_format_is_documented(example: Example, to: str, record: dict[str, Any]) -> None:
    assert convert(example, to).record == record


@pytest.mark.parametrize("to", ["messages", "sharegpt", "alpaca", "pairs"])
@pytest.mark.parametrize("example", [SINGLE, LONG, WEIGHED, PAIR, LABELLED], ids=["single", "long", "weighed", "pair", "labelled"])
def test_what_loses_nothing_comes_back_the_same_and_what_loses_something_does_not(example: Example, to: str) -> None:
    made = convert(example, to, as_messages=is_of_several_turns(example))
    assert (turns(back(made.record)) == turns(example)) == (not made.losses)


@pytest.mark.parametrize(
    ("example", "to", "losses"),
    [
        (WEIGHED, "messages", ()),
        (WEIGHED, "sharegpt", (NOT_LEARNED,)),
        (WEIGHED, "alpaca", (NOT_LEARNED,)),
        (WEIGHED, "pairs", ()),
        (LONG, "pairs", (LEARNED,)),
        (LONG, "text", (SPEAKERS,)),
        (PAIR, "text", (ANSWER,)),
        (TWO, "messages", (BORDER,)),
        (TWO, "text", (LABEL, BORDER)),
    ],
)
def test_losses_are_told(example: Example, to: str, losses: tuple[str, ...]) -> None:
    assert convert(example, to, as_messages=is_of_several_turns(example)).losses == losses


@pytest.mark.parametrize(
    ("example", "to", "said"),
    [
        (Text("words", Origin("a.txt", 7)), "messages", r"a\.txt:7: cannot be written as messages: it is raw text, without an answer"),
        (LONG, "labelled", "it has several turns, and a text has one label"),
        (Chat((ASK, AGAIN, LAST), HERE), "alpaca", "its turns are user, user, assistant, not question and answer by turns"),
        (Chat((ANSWERED,), HERE), "pairs", "nothing stands before its answer"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(example: Example, to: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        convert(example, to)


def test_columns_that_some_format_reads_cannot_stay_beside_another() -> None:
    assert kept_columns(["id", "text", "label", "input", "lang"], {"text": "text", "label": "label"}) == (["id", "lang"], ["input"])


def test_calls_of_tools_are_written_as_each_format_writes_them_or_lost_with_a_word() -> None:
    call = Call("weather", '{"city": "Oslo"}')
    turns = (Message("user", "Rain?"), Message("assistant", "", calls=(call,)), Message("tool", "no"), Message("assistant", "No."))
    chat = Chat(turns, HERE, ('{"name": "weather"}',))
    as_messages = convert(chat, "messages")
    assert as_messages.losses == ()
    assert as_messages.record["messages"][1]["tool_calls"] == [
        {"type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    ]
    as_sharegpt = convert(chat, "sharegpt")
    assert as_sharegpt.losses == ()
    assert as_sharegpt.record["conversations"][1:3] == [
        {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Oslo"}}'},
        {"from": "observation", "value": "no"},
    ]
    assert "the tools and their calls" in convert(chat, "pairs", as_messages=True).losses
    for made in (as_messages, as_sharegpt):
        (again,) = read([{**made.record, "tools": [{"name": "weather"}]}]).examples
        assert (again.messages, again.tools) == (chat.messages, chat.tools)
