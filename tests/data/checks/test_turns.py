"""Conversations in which nobody could have spoken so."""

import pytest

from tests.data.checks.rows import chat, labelled
from tunesmith.data.checks.turns import find_turns, order_problem, repeated_turn


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        (("user: a", "assistant: b"), ""),
        (("system: s", "user: a", "assistant: b", "user: c", "assistant: d"), ""),
        (("assistant: b", "user: a", "assistant: c"), "begins with the assistant"),
        (("user: a", "user: b", "assistant: c"), "two turns of the user in a row"),
        (("user: a", "assistant: b", "assistant: c"), "two turns of the assistant in a row"),
        (("user: a", "assistant: b", "user: c"), "ends with the user, whose last turn nothing answers"),
        (("system: s",), "holds no turn of the user"),
    ],
)
def test_the_order_of_roles(turns: tuple[str, ...], said: str) -> None:
    assert order_problem(chat(*turns).messages) == said


def test_only_a_longer_turn_of_the_same_role_counts_as_repeated() -> None:
    twice = chat("user: a", "assistant: I am a language model.", "user: b", "assistant: i am a  LANGUAGE model.")
    assert repeated_turn(twice.messages) == "i am a  LANGUAGE model."
    assert not repeated_turn(chat("user: yes please", "assistant: fine", "user: yes please", "assistant: fine").messages)
    assert not repeated_turn(chat("user: say this very thing", "assistant: say this very thing").messages)


def test_findings_name_the_rows() -> None:
    rows = [
        chat("user: hi", "assistant: hello"),
        chat("user:  ", "assistant: hello", row=2),
        chat("assistant: hello", "user: hi", "assistant: hi", row=3),
        chat("user: a", "assistant: one two three four", "user: b", "assistant: one two three four", row=4),
    ]
    found = {one.check: one for one in find_turns({"train": rows})}
    assert {check: [place.row for place in one.examples] for check, one in found.items()} == {
        "empty_turns": [2],
        "repeated_turns": [4],
        "role_order": [3],
    }
    assert found["empty_turns"].removes == {("chats.jsonl", 2)}
    assert found["empty_turns"].text.startswith("1 conversation has an empty turn")
    assert found["role_order"].examples[0].text == "begins with the assistant"
    assert find_turns({"train": labelled(("a", "x"))}) == []
