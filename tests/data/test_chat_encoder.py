"""What a model behind an endpoint is sent."""

from dataclasses import replace

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Chat, Choice, Completion, Labelled, Message, Origin, Prompt
from tunesmith.data import ChatEncoder, Request

HERE = Origin("rows.csv", 3)
LABELLED = Labelled("a good film", "pos", HERE)
ASKS = "Answer with one of these labels, and with nothing else:\n- bad\n- good"


def said(request: Request) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in request.messages]


def test_labels_are_named_in_the_system_message_beside_the_recipes_own() -> None:
    encoder = ChatEncoder(("neg", "pos"), template="Judge: {text}", names=("bad", "good"))
    assert said(encoder.prompt(LABELLED)) == [("system", ASKS), ("user", "Judge: a good film")]
    assert said(replace(encoder, system="Be brief.").prompt(LABELLED))[0] == ("system", f"Be brief.\n\n{ASKS}")
    assert said(replace(encoder, names=()).prompt(LABELLED)) == [("user", "Judge: a good film")]


def test_examples_stand_as_turns_between_the_system_message_and_the_question() -> None:
    encoder = ChatEncoder(("neg", "pos"), names=("bad", "good"))
    before = encoder.turns(Labelled("a bad film", "bad", HERE))
    assert said(encoder.prompt(replace(LABELLED, before=before))) == [
        ("system", ASKS), ("user", "a bad film"), ("assistant", "bad"), ("user", "a good film")
    ]  # fmt: skip


def test_choices_are_listed_and_open_questions_stand_as_they_are() -> None:
    choice = Choice("Which?", ("this", "that"), 1, HERE)
    encoder = ChatEncoder()
    assert said(encoder.prompt(choice)) == [
        ("system", "Answer with one of the answers listed, word for word, and with nothing else."), ("user", "Which?\n- this\n- that")
    ]  # fmt: skip
    assert (encoder.choices(choice), encoder.reference(choice)) == (("this", "that"), "that")
    assert said(encoder.prompt(Completion("Ask", "Answer", HERE))) == [("user", "Ask")]
    talk = Chat((Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d")), HERE)
    assert said(encoder.prompt(talk)) == [("user", "a"), ("assistant", "b"), ("user", "c")]
    assert encoder.reference(talk) == "d"


def test_a_requests_length_is_a_token_for_every_four_characters_and_four_a_message() -> None:
    assert len(Request((Message("user", "12345678"), Message("user", "123456789")))) == (4 + 2) + (4 + 3)


def test_tools_are_refused_by_their_row() -> None:
    with pytest.raises(DataError, match="^rows.csv:3: has tools"):
        ChatEncoder().prompt(Prompt((Message("user", "a"),), HERE, tools=('{"name": "look"}',)))
