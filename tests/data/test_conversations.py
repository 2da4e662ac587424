"""Conversations as the field writes them, on examples in the form of each project's documentation."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Chat, Completion, Example, Message, ModelFacts, Origin, Prompt
from tunesmith.data import example_to_predict, read
from tunesmith.data.encoder import TextEncoder
from tunesmith.data.prediction import columns_to_predict

HERE = Origin("new.jsonl", 4)


def one(record: dict[str, Any], **options: Any) -> Example:
    (example,) = read([record], **options).examples
    return example


def refused(record: dict[str, Any], **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read([record], **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def spelled(example: Example) -> list[tuple[str, str, bool]]:
    assert isinstance(example, Chat)
    return [(message.role, message.content, message.learned) for message in example.messages]


def test_sharegpt() -> None:
    turns = [
        {"from": "human", "value": "Hi"},
        {"from": "gpt", "value": "Hello"},
        {"from": "human", "value": "Bye"},
        {"from": "gpt", "value": "Ciao"},
    ]
    expected = [("user", "Hi", True), ("assistant", "Hello", True), ("user", "Bye", True), ("assistant", "Ciao", True)]
    assert spelled(one({"conversations": turns, "id": 3})) == expected
    assert spelled(one({"conversations": json.dumps(turns)})) == expected
    assert spelled(one({"conversations": turns, "system": "Be brief."}))[0] == ("system", "Be brief.", True)
    assert spelled(one({"conversations": turns, "system": ""})) == expected
    assert spelled(one({"talk": turns}, columns={"conversations": "talk"})) == expected


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"conversations": [{"role": "user", "text": "a"}]}, 'expected {"from": "human", "value": "..."}'),
        ({"conversations": [{"from": "human", "value": "a"}]}, "no message of the assistant"),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": " "}]}, "message 2 of the assistant is empty"),
        ({"conversations": [{"from": "function_call", "value": "{}"}]}, 'message 1 calls {}, expected a tool with "name"'),
        ({"conversations": [{"from": "bard", "value": "a"}]}, 'message 1 has the role "bard". Known: system, human'),
        ({"conversations": [{"from": ["x"], "value": "a"}]}, "message 1 has the role"),
        ({"conversations": []}, 'expected a list of {"from": ..., "value": ...}'),
        ({"conversations": [{"from": "system", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "c"}, "and one beside it"),
    ],
)
def test_what_is_no_sharegpt_is_said(record: dict[str, Any], said: str) -> None:
    message = refused(record)
    assert message.startswith("list:1: ")
    assert said in message


def test_alpaca() -> None:
    assert spelled(one({"instruction": "Add.", "input": "1 2", "output": "3"})) == [("user", "Add.\n1 2", True), ("assistant", "3", True)]
    assert spelled(one({"instruction": "Say hi.", "input": "", "output": "hi"})) == [("user", "Say hi.", True), ("assistant", "hi", True)]
    whole = {"instruction": "C", "input": None, "output": "D", "system": "S", "history": [["A", "B"]]}
    expected = [
        ("system", "S", True),
        ("user", "A", True),
        ("assistant", "B", True),
        ("user", "C", True),
        ("assistant", "D", True),
    ]
    assert spelled(one(whole)) == expected
    assert spelled(one({**whole, "history": '[["A", "B"]]'})) == expected
    assert spelled(one({**whole, "history": []})) == [expected[0], *expected[3:]]
    assert isinstance(one({"instruction": "a", "output": "b"}), Completion)
    assert spelled(one({"q": "a", "a": "b"}, format="alpaca", columns={"instruction": "q", "output": "a"})) == [
        ("user", "a", True),
        ("assistant", "b", True),
    ]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"instruction": "", "input": "a", "output": "b"}, 'the column "instruction" is empty'),
        ({"instruction": "a", "input": "a", "output": ""}, 'the column "output" is empty'),
        ({"instruction": "a", "input": 3, "output": "b"}, 'the column "input" holds 3 (int), expected text'),
        ({"instruction": "a", "input": "", "output": "b", "history": [["x"]]}, "expected [question, answer]"),
        ({"instruction": "a", "input": "", "output": "b", "history": "[["}, 'the column "history" is no JSON'),
        ({"instruction": "a", "input": "", "output": "b", "history": [["x", " "]]}, "of the assistant is empty"),
        ({"instruction": "a", "input": "", "output": "b", "history": [["x\ud83d", "y"]]}, "half of a character"),
    ],
)
def test_what_is_no_alpaca_is_said(record: dict[str, Any], said: str) -> None:
    assert said in refused(record)


def test_openais_weights_say_which_answers_are_learned() -> None:
    turns = [
        {"role": "developer", "content": "S"},
        {"role": "user", "content": "A"},
        {"role": "assistant", "content": "B", "weight": 0},
        {"role": "user", "content": "C"},
        {"role": "assistant", "content": "D", "weight": 1},
    ]
    assert spelled(one({"messages": turns})) == [
        ("system", "S", True),
        ("user", "A", True),
        ("assistant", "B", False),
        ("user", "C", True),
        ("assistant", "D", True),
    ]
    assert "has the weight 0.5, expected 0 (read only) or 1" in refused({"messages": [*turns[:4], {**turns[4], "weight": 0.5}]})
    assert "has the weight 0, so nothing to learn" in refused({"messages": turns[:3]})


def test_axolotls_train_says_which_answers_are_learned() -> None:
    turns = [
        {"from": "system", "value": "S", "train": False},
        {"from": "human", "value": "A", "train": False},
        {"from": "assistant", "value": "B", "train": False},
        {"from": "human", "value": "C"},
        {"from": "assistant", "value": "D", "train": True},
    ]
    assert [learned for role, _, learned in spelled(one({"conversations": turns})) if role == "assistant"] == [False, True]
    assert 'has "train": "no", expected true or false' in refused({"conversations": [*turns[:4], {**turns[4], "train": "no"}]})


@pytest.mark.parametrize("key", ["thinking", "reasoning_content", "reasoning"])
def test_a_thought_stands_beside_what_is_said(key: str) -> None:
    turns = [{"role": "user", "content": "A"}, {"role": "assistant", key: "Deep.", "content": "B"}]
    example = one({"messages": turns})
    assert isinstance(example, Chat)
    assert example.messages[1] == Message("assistant", "B", thought="Deep.")
    assert f'has a thought ("{key}"), which only an answer has' in refused({"messages": [{**turns[0], key: "Hm."}, turns[1]]})
    assert "has the thought ['Deep.']" in refused({"messages": [turns[0], {**turns[1], key: ["Deep."]}]})
    other = "thinking" if key == "reasoning" else "reasoning"
    assert "two different thoughts" in refused({"messages": [turns[0], {**turns[1], other: "Deeper."}]})
    assert one({"messages": [turns[0], {**turns[1], other: "Deep."}]}) == example
    assert spelled(one({"messages": [turns[0], {**turns[1], key: ""}]}))[1] == ("assistant", "B", True)


@pytest.mark.parametrize("column", ["messages", "conversations"])
@pytest.mark.parametrize(
    "turns",
    [
        [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}],
        [{"from": "human", "value": "A"}, {"from": "gpt", "value": "B"}],
        [{"role": "human", "value": "A"}, {"role": "gpt", "value": "B"}],
        [{"role": "user", "content": [{"type": "text", "text": "A"}]}, {"role": "assistant", "content": "B"}],
    ],
    ids=["openai", "sharegpt", "pygmalion", "parts"],
)
def test_either_spelling_is_read_in_either_column(column: str, turns: list[dict[str, Any]]) -> None:
    assert spelled(one({column: turns})) == [("user", "A", True), ("assistant", "B", True)]


def test_a_part_that_is_no_text_is_refused() -> None:
    turns = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}]}, {"role": "assistant", "content": "B"}]
    assert 'message 1 holds a part of the type "image_url"; only text is read' in refused({"messages": turns})


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"instruction": "I", "input": "X", "response": "R"}, ["I\nX", "R"]),
        ({"system_prompt": "S", "question": "Q", "response": "R"}, ["S", "Q", "R"]),
    ],
)
def test_axolotls_other_names_of_an_instruction(record: dict[str, Any], expected: list[str]) -> None:
    assert [content for _, content, _ in spelled(one(record))] == expected


@pytest.mark.parametrize(
    ("record", "source", "target"),
    [
        ({"question": "Q", "category": "C", "answer": "A"}, "Q", "A"),
        ({"INSTRUCTION": "I", "RESPONSE": "R"}, "I", "R"),
        ({"article": "A", "summary": "S"}, "A", "S"),
        ({"prompt": "P", "generation": "G"}, "P", "G"),
        ({"instruction": "I", "revision": "R"}, "I", "R"),
        ({"message_1": "A", "message_2": "B"}, "A", "B"),
        ({"article": "X", "question": "Q", "answer": "A"}, "X\n\nQ", "A"),
        ({"context": "X", "question": "Q", "answer": "A"}, "X\n\nQ", "A"),
        ({"context": "", "question": "Q", "answer": "A"}, "Q", "A"),
    ],
)
def test_axolotls_other_names_of_a_pair(record: dict[str, Any], source: str, target: str) -> None:
    example = one(record)
    assert isinstance(example, Completion)
    assert (example.source, example.target) == (source, target)


def test_what_no_example_holds_is_said() -> None:
    turns = [{"role": "user", "content": "A", "name": "Ann", "train": True}, {"role": "assistant", "content": "B"}]
    assert read([{"messages": turns, "id": 3, "images": ["a.png"]}, {"messages": turns[1:], "id": 4}]).facts.notes == (
        "list: columns that are not read: id, images",
        'list: not read: the key "name" of messages (1 rows)',
        'list: not read: "train": true of messages that are no answers (1 rows)',
    )


def test_a_prompt_and_a_completion_in_messages_are_one_conversation_whose_end_is_learned() -> None:
    prompt = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}, {"role": "user", "content": "C"}]
    record = {"prompt": prompt, "completion": [{"role": "assistant", "content": "D"}]}
    assert spelled(one(record)) == [("user", "A", False), ("assistant", "B", False), ("user", "C", False), ("assistant", "D", True)]
    assert "no message" in refused({"prompt": prompt[:1], "completion": prompt[:1]})


@pytest.mark.parametrize("kind", ["chatml", "base"])
def test_an_answer_that_is_not_learned_is_read_all_the_same(
    kind: str, request: pytest.FixtureRequest, facts: Callable[..., ModelFacts]
) -> None:
    encoder = TextEncoder(request.getfixturevalue(kind), facts())

    def chat(first: bool, second: bool) -> Chat:
        return Chat(
            (Message("user", "a"), Message("assistant", "b b", first), Message("user", "c"), Message("assistant", "d d", second)), HERE
        )

    def learned(example: Chat) -> str:
        encoded = encoder.encode(example)
        return encoder.decode([token for token, scored in zip(encoded.tokens, encoded.scored, strict=True) if scored])

    whole = encoder.encode(chat(True, True))
    for first, second in ((True, False), (False, True)):
        found = encoder.encode(chat(first, second))
        assert encoder.spell(found.tokens) == encoder.spell(whole.tokens)
        assert sum(found.scored) < sum(whole.scored)
    assert learned(chat(True, False)) == "b b"
    assert learned(chat(False, True)) == "d d"
    eos = encoder.tokenizer.eos_token_id
    assert encoder.encode(chat(False, True)).tokens.count(eos) == whole.tokens.count(eos)


def test_what_is_to_be_predicted_is_written_as_the_training_data_was() -> None:
    def asked(record: dict[str, Any], format: str) -> Example:
        located = columns_to_predict(list(record), HERE, format=format, given={}, recipe={})
        return example_to_predict(record, HERE, format=format, columns=located)

    assert asked({"instruction": "Add.", "input": "1 2", "output": "3"}, "alpaca") == Prompt((Message("user", "Add.\n1 2"),), HERE)
    assert asked({"prompt": "Add."}, "alpaca") == Prompt((Message("user", "Add."),), HERE)
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    expected = Prompt((Message("system", "S"), Message("user", "Hi")), HERE)
    assert asked({"conversations": turns, "system": "S"}, "sharegpt") == expected
