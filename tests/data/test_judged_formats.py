"""Judged answers: the documented shapes of TRL, OpenAI, LLaMA-Factory and hh-rlhf."""

from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Message, Preference, Unpaired
from tunesmith.data import read


def one(record: dict[str, Any], **options: Any) -> Any:
    found = read([record], **options)
    return found.examples[0], found.facts.format


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


BLUE = Preference((Message("user", "Sky?"),), (Message("assistant", "Blue."),), (Message("assistant", "Green."),), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"prompt": "Sky?", "chosen": "Blue.", "rejected": "Green."}, id="trl-text"),
        pytest.param({"prompt": [user("Sky?")], "chosen": [assistant("Blue.")], "rejected": [assistant("Green.")]}, id="trl-messages"),
        pytest.param({"chosen": [user("Sky?"), assistant("Blue.")], "rejected": [user("Sky?"), assistant("Green.")]}, id="trl-implicit"),
        pytest.param(
            {"prompt": "Sky?", "chosen": [user("Sky?"), assistant("Blue.")], "rejected": [user("Sky?"), assistant("Green.")]}, id="both"
        ),
        pytest.param(
            {
                "input": {"messages": [user("Sky?")], "tools": [], "parallel_tool_calls": True},
                "preferred_output": [assistant("Blue.")],
                "non_preferred_output": [assistant("Green.")],
            },
            id="openai",
        ),
        pytest.param({"instruction": "Sky?", "input": "", "chosen": "Blue.", "rejected": "Green."}, id="llama-factory-alpaca"),
        pytest.param({"system": "", "question": "Sky?", "chosen": "Blue.", "rejected": "Green."}, id="axolotl-intel"),
        pytest.param({"system": None, "input": "Sky?", "chosen": "Blue.", "rejected": "Green."}, id="axolotl-icr"),
        pytest.param({"instruction": "Sky?", "chosen_response": "Blue.", "rejected_response": "Green."}, id="axolotl-argilla"),
        pytest.param({"messages": [user("Sky?")], "chosen": assistant("Blue."), "rejected": assistant("Green.")}, id="axolotl-chat"),
        pytest.param(
            {
                "conversations": [{"from": "human", "value": "Sky?"}],
                "chosen": {"from": "gpt", "value": "Blue."},
                "rejected": {"from": "gpt", "value": "Green."},
            },
            id="llama-factory-sharegpt",
        ),
        pytest.param({"chosen": "\n\nHuman: Sky?\n\nAssistant: Blue.", "rejected": "\n\nHuman: Sky?\n\nAssistant: Green."}, id="hh-rlhf"),
    ],
)
def test_every_documented_shape_of_a_preference(record: dict[str, Any]) -> None:
    example, form = one(record)
    assert form == "preference"
    assert (example.prompt, example.chosen, example.rejected) == (BLUE.prompt, BLUE.chosen, BLUE.rejected)


@pytest.mark.parametrize(
    ("chosen", "rejected", "expected"),
    [
        ("The sky is blue.", "The sky is green.", ("The sky is", " blue.", " green.")),
        ("The sky is blue", "The sky is blue-green", ("The sky is", " blue", " blue-green")),
        ("one two", "one two three", ("one", " two", " two three")),
    ],
)
def test_plain_texts_part_at_the_last_space_before_they_differ(chosen: str, rejected: str, expected: tuple[str, str, str]) -> None:
    example, _ = one({"chosen": chosen, "rejected": rejected})
    assert tuple(turns[0].content for turns in (example.prompt, example.chosen, example.rejected)) == expected


@pytest.mark.parametrize("role", ["system", "system_prompt"])
def test_a_system_message_beside_a_prompt_comes_first(role: str) -> None:
    example, _ = one({role: "Be brief.", "prompt": "Sky?", "chosen": "Blue.", "rejected": "Green."})
    assert example.prompt == (Message("system", "Be brief."), *BLUE.prompt)


def test_two_system_messages_are_one_too_many() -> None:
    prompt = [{"role": "system", "content": "a"}, user("Sky?")]
    with pytest.raises(DataError, match="a system message in the prompt and one beside it"):
        read([{"system": "b", "prompt": prompt, "chosen": "Blue.", "rejected": "Green."}])


def test_dialogues_part_where_they_differ() -> None:
    shared = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Sky?"
    example, _ = one({"chosen": f"{shared}\n\nAssistant: Blue.", "rejected": f"{shared}\n\nAssistant: Green."})
    assert [message.content for message in example.prompt] == ["Hi", "Hello", "Sky?"]
    assert (example.chosen[0].content, example.rejected[0].content) == ("Blue.", "Green.")


@pytest.mark.parametrize(
    ("record", "liked"),
    [
        pytest.param({"prompt": "Sky?", "completion": "Blue.", "label": True}, True, id="trl-text"),
        pytest.param({"prompt": [user("Sky?")], "completion": [assistant("Blue.")], "label": False}, False, id="trl-messages"),
        pytest.param({"messages": [user("Sky?"), assistant("Blue.")], "kto_tag": True}, True, id="llama-factory-openai"),
        pytest.param({"messages": [user("Sky?"), assistant("Blue.")], "label": False}, False, id="llama-factory-label"),
        pytest.param({"instruction": "Sky?", "input": "", "output": "Blue.", "kto_tag": False}, False, id="llama-factory-alpaca"),
        pytest.param(
            {"conversations": [{"from": "human", "value": "Sky?"}, {"from": "gpt", "value": "Blue."}], "kto_tag": "true"},
            True,
            id="sharegpt",
        ),
    ],
)
def test_every_documented_shape_of_a_single_judgement(record: dict[str, Any], liked: bool) -> None:
    example, form = one(record)
    assert form == "unpaired"
    assert isinstance(example, Unpaired)
    assert (example.prompt, example.completion, example.is_liked) == (BLUE.prompt, BLUE.chosen, liked)


def test_a_label_that_is_no_judgement_leaves_conversations_as_they_are() -> None:
    talk = [user("Sky?"), assistant("Blue.")]
    assert read([{"messages": talk, "label": "weather"}]).facts.format == "messages"
    assert read([{"messages": talk, "label": True}, {"messages": talk}]).facts.format == "messages"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"prompt": "Sky?", "chosen": "Blue.", "rejected": "Blue."}, "are the same, so nothing can be learned"),
        ({"chosen": "Blue.", "rejected": "Green."}, "no prompt, and the two answers have none in common"),
        ({"prompt": "Sky?", "chosen": "Blue.", "rejected": ""}, 'the column "rejected" is empty'),
        ({"prompt": "Sky?", "chosen": [user("Why?")], "rejected": "Green."}, "does not end with an answer of the assistant"),
        ({"prompt": "Sky?", "completion": "Blue.", "label": "perhaps"}, "expected true or false"),
        ({"instruction": "Sky?", "kto_tag": True}, "no prompt with its completion"),
        (
            {
                "input": {"messages": [user("Sky?")], "tools": [{}]},
                "preferred_output": [assistant("a")],
                "non_preferred_output": [assistant("b")],
            },
            "names tools",
        ),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_row(record: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read([record])
    assert "list:1" in str(caught.value)


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"prompt": "Sky?", "chosen": "Blue.", "rejected": "Green."}, "dpo"),
        ({"prompt": "Sky?", "completion": "Blue.", "label": True}, "kto"),
        ({"prompt": "Sky?", "answers": [{"answer": "Blue.", "rank": 1}, {"answer": "Green.", "rank": 2}]}, "reward"),
        ({"prompt": "Sky?", "response": "Blue.", "helpfulness": 3, "correctness": 4}, "grade"),
    ],
)
def test_judged_answers_have_an_objective(record: dict[str, Any], name: str) -> None:
    from tunesmith.app.chosen_objective import choose_objective

    assert choose_objective(None, read([record]).examples)[0] == name


def test_steps_of_answers_have_none_yet() -> None:
    from tunesmith.app.chosen_objective import choose_objective
    from tunesmith.core.errors import ObjectiveError

    with pytest.raises(ObjectiveError, match="gives Stepwise. No objective learns from those yet"):
        choose_objective(None, read([{"prompt": "2 + 2?", "completions": ["4", "5"], "labels": [True, False]}]).examples)


def test_a_margin_says_by_how_much_an_answer_is_liked_better() -> None:
    record = {"prompt": "Sky?", "chosen": "Blue.", "rejected": "Green."}
    assert [one(record | {"margin": value})[0].margin for value in (2, 0.5, None)] == [2.0, 0.5, None]
    with pytest.raises(DataError, match='list:1: the column "margin" holds .*much.*, expected a number'):
        read([record | {"margin": "much"}])
