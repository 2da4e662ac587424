"""Rows in the shapes that other programs' documentation shows are read unchanged: the columns are theirs, the texts are ours."""

from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Message
from tunesmith.data import read


def said(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


AXOLOTL: dict[str, tuple[dict[str, Any], str]] = {
    "alpaca": ({"instruction": "a", "input": "b", "output": "c"}, "alpaca"),
    "jeopardy": ({"question": "a", "category": "b", "answer": "c"}, "pairs"),
    "oasst": ({"INSTRUCTION": "a", "RESPONSE": "b"}, "pairs"),
    "gpteacher": ({"instruction": "a", "input": "b", "response": "c"}, "alpaca"),
    "reflection": ({"instruction": "a", "input": "b", "output": "c", "reflection": "d", "corrected": "e"}, "alpaca"),
    "explainchoice": ({"question": "a", "choices": ["x", "y"], "solution": "x", "explanation": "b"}, "choices"),
    "concisechoice": ({"question": "a", "choices": ["x", "y"], "solution": "x"}, "choices"),
    "summarizetldr": ({"article": "a", "summary": "b"}, "pairs"),
    "alpaca_chat.load_qa": ({"question": "a", "answer": "b"}, "pairs"),
    "alpaca_chat.load_camel_ai": ({"message_1": "a", "message_2": "b"}, "pairs"),
    "alpaca_w_system.load_open_orca": ({"system_prompt": "s", "question": "a", "response": "b"}, "alpaca"),
    "context_qa": ({"article": "a", "question": "b", "answer": "c"}, "pairs"),
    "context_qa.load_v2": ({"context": "a", "question": "b", "answer": "c"}, "pairs"),
    "creative_acr.load_answer": ({"instruction": "a", "revision": "b"}, "pairs"),
    "metharme": ({"prompt": "a", "generation": "b"}, "pairs"),
    "pygmalion": ({"conversations": [{"role": "user", "value": "a"}, {"role": "assistant", "value": "b"}]}, "sharegpt"),
    "chat_template": ({"messages": said("a", "b")}, "messages"),
    "completion": ({"text": "a"}, "text"),
    "input_output": ({"segments": [{"label": False, "text": "a"}, {"label": True, "text": "b"}]}, "segments"),
    "tokenized": ({"input_ids": [1, 2], "labels": [-100, 2], "attention_mask": [1, 1]}, "pretokenized"),
    "chatml.argilla": ({"system": "s", "instruction": "a", "chosen_response": "b", "rejected_response": "c"}, "preference"),
    "chatml.icr": ({"system": "s", "input": "a", "chosen": "b", "rejected": "c"}, "preference"),
    "chatml.intel": ({"system": "s", "question": "a", "chosen": "b", "rejected": "c"}, "preference"),
    "chatml.ultra": ({"prompt": "a", "chosen": said("a", "b"), "rejected": said("a", "c")}, "preference"),
    "user_defined": ({"system": "s", "prompt": "a", "chosen": "b", "rejected": "c"}, "preference"),
    "bradley_terry": ({"input": "a", "chosen": "b", "rejected": "c"}, "preference"),
    "kto argilla": ({"instruction": "a", "completion": "b", "label": True}, "unpaired"),
    "kto argilla_chat": ({"completion": said("a", "b"), "label": True}, "unpaired"),
    "kto intel": ({"system": "s", "question": "a", "completion": "b", "label": False}, "unpaired"),
    "kto ultra": ({"prompt": "a", "completion": "b", "label": True}, "unpaired"),
}
TRL: dict[str, tuple[dict[str, Any], str]] = {
    "language modeling": ({"text": "a"}, "text"),
    "language modeling, conversational": ({"messages": said("a", "b")}, "messages"),
    "prompt-only": ({"prompt": "a"}, "prompts"),
    "prompt-only, conversational": ({"prompt": said("a")}, "prompts"),
    "prompt-completion": ({"prompt": "a", "completion": "b"}, "pairs"),
    "prompt-completion, conversational": ({"prompt": said("a"), "completion": [{"role": "assistant", "content": "b"}]}, "pairs"),
    "preference": ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preference"),
    "preference, implicit": ({"chosen": "a b", "rejected": "a c"}, "preference"),
    "preference, implicit, conversational": ({"chosen": said("a", "b"), "rejected": said("a", "c")}, "preference"),
    "unpaired": ({"prompt": "a", "completion": "b", "label": True}, "unpaired"),
    "unpaired, conversational": ({"prompt": said("a"), "completion": [{"role": "assistant", "content": "b"}], "label": False}, "unpaired"),
    "a thought": ({"messages": [*said("a"), {"role": "assistant", "thinking": "b", "content": "c"}]}, "messages"),
}
SHAPES = {**{f"axolotl, {name}": case for name, case in AXOLOTL.items()}, **{f"TRL, {name}": case for name, case in TRL.items()}}


@pytest.mark.parametrize("name", SHAPES)
def test_a_documented_row_is_read(name: str) -> None:
    record, form = SHAPES[name]
    found = read([record])
    assert found.facts.format == form
    assert len(found.examples) == 1


def test_what_is_liked_of_a_whole_conversation_is_its_last_answer() -> None:
    (talk,) = read([{"completion": said("a", "b", "c", "d"), "label": True}]).examples
    assert (talk.prompt[-1], talk.completion) == (Message("user", "c"), (Message("assistant", "d"),))  # type: ignore[union-attr]
    (asked,) = read([{"system": "s", "question": "a", "completion": "b", "label": False}]).examples
    assert asked.prompt == (Message("system", "s"), Message("user", "a"))  # type: ignore[union-attr]
    with pytest.raises(DataError, match="no prompt with its completion beside the label"):
        read([{"completion": "b", "label": True}])


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "a", "completions": ["b", "c"], "labels": [True, False]},  # a reward for each step
        {"prompt": "a", "answers": [{"answer": "b", "rank": 1}, {"answer": "c", "rank": 2}]},  # a ranking
        {"article": "a", "unanswerable_question": "b"},  # its answer is the program's
    ],
)
def test_rows_that_no_objective_could_use_are_not_guessed_at(record: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="cannot tell what the columns"):
        read([record])
