"""A golden fixture for each format: the record, what a person expects of it, and every token with its mask.

`golden/FORMAT.json` holds cases. Of each, `record` is as its project documents it, `conversation` and `learned` (or `texts`) were written by hand, and `tokens`
with `mask` are those of the embedded models' own tokenizers. Conversations are rendered a second time by the tokenizer's own chat template, texts by its own call.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core import registry
from tunesmith.core.types import Chat, Encoded, Example, Graded, Message, Preference, Ranked, Stepwise, Unpaired
from tunesmith.data import TextEncoder, chat_template, read
from tunesmith.model.load import load_tokenizer

GOLDEN = Path(__file__).parent / "golden"
CASES = [
    pytest.param(file.stem, case, id=f"{file.stem}-{number}")
    for file in sorted(GOLDEN.glob("*.json"))
    for number, case in enumerate(json.loads(file.read_text(encoding="utf-8")))
]

pytestmark = pytest.mark.embedded


@cache
def encoder_of(model: str, layout: str | None, loss_on: Any) -> TextEncoder:
    tokenizer, facts = load_tokenizer(model)
    if layout:
        tokenizer.chat_template = chat_template(layout, tokenizer, facts.name)
    return TextEncoder(tokenizer, facts, loss_on=loss_on)


def encoder(case: dict[str, Any]) -> TextEncoder:
    model = "smollm2-135m-instruct" if "conversation" in case or case.get("causal") else "minilm-l6"
    return encoder_of(model, case.get("layout"), case.get("loss_on", "assistant"))


def conversations(example: Example) -> list[Example]:
    """A judged example's as one conversation for each answer."""
    if isinstance(example, Preference):
        return [Chat((*example.prompt, *answer), example.origin) for answer in (example.chosen, example.rejected)]
    if isinstance(example, Ranked):
        return [Chat((*example.prompt, Message("assistant", answer)), example.origin) for answer in example.answers]
    if isinstance(example, Stepwise):
        return [Chat((*example.prompt, Message("assistant", "\n".join(example.steps))), example.origin)]
    if isinstance(example, Unpaired | Graded):
        return [Chat((*example.prompt, *example.completion), example.origin)]
    return [example]


def test_every_format_has_a_fixture() -> None:
    assert {file.stem for file in GOLDEN.glob("*.json")} == set(registry.names("format"))


def encode(name: str, case: dict[str, Any], made: TextEncoder) -> list[Encoded]:
    found = read([case["record"]], **case.get("options", {}))
    assert found.facts.format == name
    (example,) = found.examples
    if name == "tagged":
        return [made.words(case["record"]["words"]).encoded]
    if name == "squad":
        return [window.encoded for window in made.contexts(case["record"]["question"], case["record"]["context"])]
    return [made.encode(one) for one in conversations(example)]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_tokens_and_mask_are_the_golden_ones(name: str, case: dict[str, Any]) -> None:
    made = encoder(case)
    rows = encode(name, case, made)
    assert [made.tokenizer.convert_ids_to_tokens(list(row.tokens)) for row in rows] == case["tokens"]
    assert ["".join("01"[scored] for scored in row.scored) for row in rows] == case["mask"]


@pytest.mark.parametrize(("name", "case"), [case for case in CASES if "conversation" in case.values[1]])  # type: ignore[operator]
def test_conversations_are_what_the_tokenizers_own_template_writes(name: str, case: dict[str, Any]) -> None:
    made = encoder(case)
    for row, turns, learned in zip(encode(name, case, made), case["conversation"], case["learned"], strict=True):
        ids = made.tokenizer.apply_chat_template(turns, tools=case.get("tools"), tokenize=True, return_dict=False)
        assert made.tokenizer.decode(row.tokens) == made.tokenizer.decode(ids).rstrip("\n")
        assert list(row.tokens) == ids[: len(row.tokens)]
        scored, found = [False, *row.scored, False], list[str]()
        for begin in range(1, len(scored)):
            if scored[begin] and not scored[begin - 1]:
                end = scored.index(False, begin)
                found.append(made.tokenizer.decode(row.tokens[begin - 1 : end - 1]))
        assert found == learned


@pytest.mark.parametrize(("name", "case"), [case for case in CASES if "texts" in case.values[1]])  # type: ignore[operator]
def test_texts_are_what_the_tokenizer_makes_of_them(name: str, case: dict[str, Any]) -> None:
    made = encoder(case)
    (row,) = encode(name, case, made)
    end = [made.tokenizer.eos_token_id] if case.get("causal") else []  # a document's end is learned
    assert list(row.tokens) == made.tokenizer(*case["texts"])["input_ids"] + end
