"""A request shows examples as the assistant's own turns; what comes back is one example in the form, or none."""

from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Call, Chat, Completion, Example, Labelled, Message, Origin, Text
from tunesmith.data.generation.forms import ConversationForm, LabelledForm, PairForm, form_for, is_echo, request

HERE = Origin("seeds.jsonl", 1)


def chat(*turns: str, first: Any = "user") -> Chat:
    roles: list[Any] = [first] if first == "system" else []
    roles += [("user", "assistant")[place % 2] for place in range(len(turns) - len(roles))]
    return Chat(tuple(Message(role, text) for role, text in zip(roles, turns, strict=True)), HERE)


PAIR = Completion("What is the sea?", "Salt water,\nand fish.", HERE)
TALK = chat("Be brief.", "Hello", "Hi.", "Bye", "Bye.", first="system")


def test_a_request_ends_with_a_wish_after_each_shown_example_as_an_answer_to_one() -> None:
    turns = request(PairForm(), [PAIR, PAIR])
    assert [turn.role for turn in turns] == ["user", "assistant", "user", "assistant", "user"]
    assert turns[1].content == "Question: What is the sea?\nAnswer: Salt water,\nand fish."
    assert "Question: ...\nAnswer: ..." in turns[0].content
    assert turns[2] == turns[4]


def test_a_request_for_a_class_names_the_label_of_each_shown_text_and_the_wanted_one() -> None:
    shown = [Labelled("A fine film.", "good", HERE), Labelled("Dull.", "bad", HERE)]
    turns = request(LabelledForm(has_pairs=False), shown, "good")
    assert [turn.content.rpartition("abel: ")[2] for turn in turns[::2]] == ["good", "bad", "good"]
    assert [turn.content for turn in turns[1::2]] == ["Text: A fine film.", "Text: Dull."]


def test_without_shown_examples_the_form_is_spelled_out_all_the_same() -> None:
    (turn,) = request(PairForm(), [])
    assert "Question: ...\nAnswer: ..." in turn.content


@pytest.mark.parametrize(
    "example",
    [PAIR, TALK, chat("Hello", "Hi."), Labelled("Two\nlines: here", "x", HERE), Labelled("One.", "x", HERE, "Another.")],
    ids=["pair", "conversation", "single turn", "text", "two texts"],
)
def test_what_is_shown_is_read_again_as_it_was(example: Example) -> None:
    form = form_for([example], "seeds")
    assert form.shows(example)
    assert form.read(form.show(example), getattr(example, "label", None), HERE) == example


@pytest.mark.parametrize(
    "text",
    [
        "Here is one:\nQuestion: a\nAnswer: b",
        "Question: a",
        "Question: a\nAnswer:",
        "Question: \nAnswer: b",
        "Answer: b\nQuestion: a",
        "Question: a\nAnswer: b\n\nQuestion: c\nAnswer: d",
        "question: a\nanswer: b",
        "",
    ],
)
def test_a_pair_in_any_other_form_is_none(text: str) -> None:
    assert PairForm().read(text, None, HERE) is None


def test_the_space_around_values_and_lines_of_other_words_are_the_values_own_matter() -> None:
    assert PairForm().read("\nQuestion:  a?\nAnswer: b\nNote: c \n", None, HERE) == Completion("a?", "b\nNote: c", HERE)


@pytest.mark.parametrize(
    "text",
    [
        "User: a",
        "Assistant: a\nUser: b",
        "User: a\nUser: b\nAssistant: c",
        "System: s",
        "User: a\nAssistant: b\nUser: c",
        "User: a\nAssistant:",
    ],
)
def test_a_conversation_is_questions_and_answers_by_turns_or_none(text: str) -> None:
    assert ConversationForm().read(text, None, HERE) is None


@pytest.mark.parametrize(
    ("form", "example"),
    [
        (PairForm(), Completion("Fill in.\nAnswer: ?", "b", HERE)),
        (LabelledForm(has_pairs=False), Labelled("a text", None, HERE)),
        (LabelledForm(has_pairs=True), Labelled("one text", "x", HERE)),
        (ConversationForm(), chat("Say this:\nAssistant: no", "no")),
        (ConversationForm(), Chat((Message("user", "a"), Message("assistant", "b", calls=(Call("t", "{}"),))), HERE)),
    ],
    ids=["a field inside a text", "no label", "one text of two", "a turn inside a turn", "a call"],
)
def test_a_seed_that_the_form_would_change_is_not_shown(form: Any, example: Example) -> None:
    assert not form.shows(example)


def test_an_answer_that_says_the_question_again_is_an_echo() -> None:
    assert is_echo(Completion("Who are you?", "who  are you?", HERE))
    assert is_echo(chat("a", "b", "Why", "why"))
    assert not is_echo(PAIR)
    assert not is_echo(TALK)
    assert not is_echo(Labelled("a", "a", HERE))


def test_texts_without_an_answer_are_refused_and_sent_to_the_documents() -> None:
    with pytest.raises(DataError, match="seeds: rows of the kind Text are no seeds.*--from-documents"):
        form_for([Text("a", HERE)], "seeds")
