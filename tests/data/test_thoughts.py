"""What the assistant thinks before it answers is learned with the answer where the chat template writes it, and never lost without a word."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.core.errors import ModelError
from tunesmith.core.types import Chat, Message, ModelFacts, Origin, Prompt
from tunesmith.data import TextEncoder, read
from tunesmith.data.checks.texts import full_text
from tunesmith.data.convert import THOUGHTS, convert
from tunesmith.data.split import num_duplicates

Facts = Callable[..., ModelFacts]
HERE = Origin("a.jsonl", 1)
_BODY = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if THINKS %}<think>\n{{ m.KEY | trim }}\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ALWAYS = _BODY.replace("THINKS", "m.KEY")
LAST_ONLY = (
    "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    + _BODY.replace("THINKS", "m.KEY and loop.index0 > ns.last")
)
"""As Qwen3's: what was thought before an earlier request is left out."""
TALK = Chat(
    (
        Message("user", "one"),
        Message("assistant", "first", thought="It is 1."),
        Message("user", "two"),
        Message("assistant", "second", thought="\nIt is <|im_end|> 2.\n"),
    ),
    HERE,
)
ANSWER = "<think>\nIt is <|im_end|> 2.\n</think>\n\nsecond<|im_end|>"


def encoder_of(tokenizer: Any, facts: Facts, template: str | None, **options: Any) -> TextEncoder:
    other = copy.deepcopy(tokenizer)
    other.chat_template = template
    return TextEncoder(other, facts(), **options)


def learned(encoder: TextEncoder, example: Chat) -> str:
    encoded = encoder.encode(example)
    return encoder.spell([token for token, scored in zip(encoded.tokens, encoded.scored, strict=True) if scored])


@pytest.mark.parametrize("key", ["reasoning_content", "thinking"])
def test_a_thought_is_learned_before_the_answer_and_is_the_templates_own(key: str, chatml: Any, facts: Facts) -> None:
    encoder = encoder_of(chatml, facts, ALWAYS.replace("KEY", key))
    assert learned(encoder, TALK) == f"<think>\nIt is 1.\n</think>\n\nfirst<|im_end|>{ANSWER}"
    own = [{"role": m.role, "content": m.content, **({key: m.thought} if m.thought else {})} for m in TALK.messages]
    tokens = encoder.encode(TALK).tokens
    assert encoder.spell(tokens) == encoder.tokenizer.apply_chat_template(own, tokenize=False).rstrip("\n")
    assert tokens.count(encoder.tokenizer.convert_tokens_to_ids("<|im_end|>")) == 4  # what a thought spells is no end of the turn
    prompt = encoder.prompt(Prompt(TALK.messages[:3], HERE))
    assert tokens[: len(prompt)] == prompt


def test_a_template_that_leaves_out_earlier_thoughts_teaches_the_last_answer(chatml: Any, facts: Facts) -> None:
    template = LAST_ONLY.replace("KEY", "reasoning_content")
    with pytest.raises(ModelError, match=r"a\.jsonl:1: .*writes an earlier answer otherwise.*Set data\.loss_on=completion"):
        encoder_of(chatml, facts, template).encode(TALK)
    encoder = encoder_of(chatml, facts, template, loss_on="last")
    assert learned(encoder, TALK) == ANSWER
    assert "It is 1." not in encoder.spell(encoder.encode(TALK).tokens)


def test_a_template_without_a_place_for_thoughts_is_refused_where_one_is_learned(chatml: Any, base: Any, facts: Facts) -> None:
    with pytest.raises(ModelError, match=r"a\.jsonl:1: .*its chat template leaves out what the assistant thinks\. Set data\.chat_template"):
        TextEncoder(chatml, facts()).encode(TALK)
    with pytest.raises(ModelError, match=r"a\.jsonl:1: .*the plain layout has no thoughts"):
        TextEncoder(base, facts()).encode(TALK)
    single = Chat((TALK.messages[0], TALK.messages[1]), HERE)
    with pytest.raises(ModelError, match="leaves out what the assistant thinks"):
        TextEncoder(chatml, facts()).encode(single)
    read_only = Chat(
        (
            *single.messages[:1],
            Message("assistant", "first", learned=False, thought="It is 1."),
            *TALK.messages[:1],
            Message("assistant", "b"),
        ),
        HERE,
    )
    assert learned(TextEncoder(chatml, facts()), read_only) == "b<|im_end|>"


def test_rows_of_either_key_read_and_write_back(chatml: Any) -> None:
    record = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "reasoning_content": "c"}]}
    (example,) = read([record]).examples
    assert convert(example, "messages").record == record
    assert convert(example, "messages").losses == ()
    for to in ("sharegpt", "alpaca", "pairs", "text"):
        assert THOUGHTS in convert(example, to).losses
    (other,) = read([{"messages": [record["messages"][0], {"role": "assistant", "content": "b", "thinking": "d"}]}]).examples
    assert num_duplicates([example, other]) == 0
    assert "c" in full_text(example).split("\n")
