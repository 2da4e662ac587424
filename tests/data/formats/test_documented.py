"""Rows in the shapes that other programs' documentation shows are read unchanged: the columns are theirs, the texts are ours."""

from dataclasses import replace
from typing import Any

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Message, Ranked, Stepwise
from tunesmith.data import content_key, read
from tunesmith.data.checks.texts import asked, full_text
from tunesmith.data.split import num_duplicates
from tunesmith.evaluation.score import text_of


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
    "zephyr.nectar": ({"prompt": "a", "answers": [{"answer": "b", "rank": 2}, {"answer": "c", "rank": 1}]}, "ranked"),
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
    "stepwise supervision": ({"prompt": "a", "completions": ["b", "c"], "labels": [True, False]}, "stepwise"),
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
    (other,) = read([{"system": "s", "question": "a", "completion": "b", "label": False}]).examples
    assert other.prompt == (Message("system", "s"), Message("user", "a"))  # type: ignore[union-attr]
    with pytest.raises(DataError, match="no prompt with its completion beside the label"):
        read([{"completion": "b", "label": True}])


@pytest.mark.parametrize("ranks", [(1, 2, 2, 3), (1, 2, 2, 4), (1, 3, 3, 4), (0, 1, 2, 3), (2, 2, 3, 4), (1, 1, 1, 1)])
def test_ties_are_counted_in_any_of_the_usual_ways(ranks: tuple[int, ...]) -> None:
    (example,) = read([{"prompt": "a", "answers": [{"answer": str(place), "rank": rank} for place, rank in enumerate(ranks)]}]).examples
    assert isinstance(example, Ranked)
    assert example.ranks == ranks


def test_answers_are_ranked_and_a_dialogue_waits_for_them() -> None:
    answers = [{"answer": "worst", "rank": 3.0, "model": "m"}, {"answer": "best", "rank": 1}, {"answer": "as bad", "rank": 3}]
    (example,) = read([{"prompt": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: ", "answers": answers}]).examples
    assert isinstance(example, Ranked)
    assert example.prompt == (Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    assert (example.answers, example.ranks) == (("best", "worst", "as bad"), (1, 3, 3))
    assert (asked(example), text_of(example)) == ("a\nb\nc", "c")
    other = replace(example, answers=("best", "as bad", "worst"))
    assert (num_duplicates([example, other]), content_key(example) == content_key(other)) == (0, True)


def test_steps_have_a_label_each() -> None:
    (example,) = read([{"prompt": "a", "completions": ["b", "c"], "labels": [True, False]}]).examples
    assert isinstance(example, Stepwise)
    assert (example.prompt, example.steps, example.are_right) == ((Message("user", "a"),), ("b", "c"), (True, False))
    assert full_text(example) == "a\nb\nc"
    assert num_duplicates([example, replace(example, steps=("b", "d"))]) == 0


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"prompt": "a", "answers": [{"answer": "b", "rank": 1}]}, "expected a list of at least two"),
        ({"prompt": "a", "answers": [{"answer": "b", "rank": 1}, {"answer": "c"}]}, "answer 2 is"),
        ({"prompt": "a", "answers": [{"answer": "b", "rank": 1}, {"answer": " ", "rank": 2}]}, "answer 2 is"),
        (
            {"prompt": "a", "answers": [{"answer": "b", "rank": 1}, {"answer": "c", "rank": 3}]},
            "the ranks 1, 3, expected 1, 2, 3 with none left out",
        ),
        (
            {"prompt": "a", "answers": [{"answer": "b", "rank": 3}, {"answer": "c", "rank": 2}]},
            "the ranks 2, 3, expected 1, 2, 3 with none left out",
        ),
        ({"prompt": "a", "completions": ["b"], "labels": [True, False]}, "2 labels beside 1 completions. Each step needs one."),
        ({"prompt": "a", "completions": ["b"], "labels": [1]}, 'step 1 is "b" with the label 1'),
        ({"prompt": "a", "completions": [], "labels": []}, 'the column "completions" holds'),
    ],
)
def test_a_judgement_that_is_not_whole_is_refused_with_its_row(record: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match="^list:1: ") as error:
        read([record])
    assert said in str(error.value)


@pytest.mark.parametrize("record", [{"article": "a", "unanswerable_question": "b"}])
def test_rows_whose_answer_is_the_other_programs_are_not_guessed_at(record: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="cannot tell what the columns"):
        read([record])


def test_two_system_messages_before_a_judged_answer_are_one_too_many() -> None:
    prompt = [{"role": "system", "content": "a"}, *said("b")]
    with pytest.raises(DataError, match="list:1: a system message in the prompt and one beside it"):
        read([{"system": "c", "prompt": prompt, "completion": "d", "label": True}])
