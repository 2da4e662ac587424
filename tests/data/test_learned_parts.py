"""An answer of which only parts are learned: the tokens are the whole answer's text, the mask is the parts."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import DataError, ModelError
from tunesmith.core.types import Chat, Encoded, Message, ModelFacts, Origin
from tunesmith.data import TextEncoder, read
from tunesmith.data._pieces import learned_stretches
from tunesmith.data.convert import NOT_LEARNED, convert

Facts = Callable[..., ModelFacts]
HERE = Origin("a.jsonl", 1)
SAID = "I'm doing very well, thank you!"
DETAIL = [
    {"begin_offset": 0, "end_offset": 8, "train": False},
    {"begin_offset": 9, "end_offset": 18, "train": True},
    {"begin_offset": 19, "end_offset": 30, "train": False},
]


def row(detail: Any, **changes: Any) -> dict[str, Any]:
    answer = {"from": "assistant", "value": SAID, "train_detail": detail, **changes}
    return {"conversations": [{"from": "human", "value": "How are you?"}, answer]}


def answer(detail: Any, **changes: Any) -> Message:
    (example,) = read([row(detail, **changes)]).examples
    assert isinstance(example, Chat)
    return example.messages[-1]


def learned(encoder: TextEncoder, encoded: Encoded) -> str:
    tokens = [token for token, scored in zip(encoded.tokens, encoded.scored, strict=True) if scored]
    return "".join(encoder.tokenizer.convert_ids_to_tokens(tokens)).replace("\u2581", " ").replace("\u0120", " ")


def test_the_documented_row_learns_what_it_says() -> None:
    assert answer(DETAIL, train=True) == Message("assistant", SAID, unlearned=((0, 9), (19, 31)))
    assert answer([DETAIL[1]], train=False) == answer(DETAIL)  # what stands in no part is learned as the message is
    assert answer([DETAIL[0]]).unlearned == ((0, 9),)
    assert answer([{"begin_offset": 0, "end_offset": 30, "train": True}]) == Message("assistant", SAID)
    with pytest.raises(DataError, match="every message of the assistant has the weight 0"):
        read([row([{"begin_offset": 0, "end_offset": 30, "train": False}])])


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("x", 'has the "train_detail" "x", expected a list'),
        ([{"begin_offset": 0, "end_offset": 31, "train": False}], "characters 0 to 31; expected some of 0 to 30"),
        ([{"begin_offset": 5, "end_offset": 4, "train": False}], "characters 5 to 4"),
        ([DETAIL[0], {"begin_offset": 8, "end_offset": 9, "train": True}], "that stand in no other part"),
        ([{"begin_offset": 0, "train": False}], "part 1 of its train_detail is"),
        ([{"begin_offset": 0, "end_offset": 3, "train": 1}], "part 1 of its train_detail is"),
    ],
)
def test_parts_that_cannot_be_meant_are_refused_with_their_row(detail: Any, said: str) -> None:
    with pytest.raises(DataError, match="^list:1: message 2") as error:
        read([row(detail)])
    assert said in str(error.value)


def test_only_answers_are_learned_in_parts() -> None:
    talk = row(DETAIL)
    talk["conversations"][0]["train_detail"] = [{"begin_offset": 0, "end_offset": 1, "train": True}]
    with pytest.raises(DataError, match='message 1 has a "train_detail", and only answers are learned'):
        read([talk])


@pytest.mark.parametrize("kind", ["chatml", "base", "sentencepiece"])
def test_learned_are_the_parts_and_the_end_of_the_turn(kind: str, request: pytest.FixtureRequest, facts: Facts) -> None:
    tokenizer = request.getfixturevalue(kind)
    first = Message("assistant", "the film is <|im_end|> good</s>", unlearned=((4, 9), (12, 15)))
    talk = Chat((Message("user", "the"), first, Message("user", "film"), Message("assistant", "the film", unlearned=((0, 4),))), HERE)
    encoder = TextEncoder(tokenizer, facts())
    encoded = encoder.encode(talk)
    whole = encoder.encode(Chat(tuple(Message(m.role, m.content) for m in talk.messages), HERE))
    assert encoder.spell(encoded.tokens) == encoder.spell(whole.tokens)
    end = {"chatml": "<|im_end|>", "base": "<|endoftext|>", "sentencepiece": "</s>"}[kind]
    assert learned(encoder, encoded) == f"the is m_end|> good</s>{end}film{end}"


def test_a_part_is_looked_for_behind_the_thought(chatml: Any, facts: Facts) -> None:
    other = copy.deepcopy(chatml)
    other.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.thinking %}<think>{{ m.thinking }}</think>{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    talk = Chat((Message("user", "2 + 2"), Message("assistant", "It is 4", thought="It is 4", unlearned=((0, 6),))), HERE)
    encoder = TextEncoder(other, facts())
    assert learned(encoder, encoder.encode(talk)) == "<think>It is 4</think>4<|im_end|>"


def test_a_template_that_alters_the_answer_is_refused(chatml: Any, facts: Facts) -> None:
    other = copy.deepcopy(chatml)
    other.chat_template = "{% for m in messages %}[{{ m.content | trim }}]{% endfor %}{% if add_generation_prompt %}[{% endif %}"
    talk = Chat((Message("user", "a"), Message("assistant", " b c ", unlearned=((1, 2),))), HERE)
    with pytest.raises(ModelError, match=r"a\.jsonl:1: .*alters an answer, of which only parts are learned"):
        TextEncoder(other, facts()).encode(talk)


def test_messages_keep_the_parts_and_other_formats_say_that_they_do_not() -> None:
    (example,) = read([row(DETAIL)]).examples
    back = convert(example, "messages")
    assert back.losses == ()
    assert read([dict(back.record)]).examples[0] == example
    assert NOT_LEARNED in convert(example, "alpaca").losses


@settings(max_examples=100, deadline=None)
@given(
    before=st.text("ab", max_size=3), parts=st.lists(st.tuples(st.text("cd|", max_size=4), st.booleans()), min_size=1, max_size=5), after=st.text("ef", max_size=3)
)  # fmt: skip
def test_stretches_are_the_text_and_only_what_is_marked_is_left_out(before: str, parts: list[tuple[str, bool]], after: str) -> None:
    content, unlearned = "".join(text for text, _ in parts), list[tuple[int, int]]()
    at = 0
    for text, is_learned in parts:
        if not is_learned and text:
            unlearned.append((at, at + len(text)))
        at += len(text)
    marked = content.replace("|", "|!")  # cut behind every bar
    stretches = learned_stretches(before + marked + after, len(before), marked, "!", unlearned)
    assert "".join(text for text, _ in stretches) == before + marked + after
    expected = before + "".join(text for text, is_learned in parts if is_learned) + after
    assert "".join(text for text, is_learned in stretches if is_learned).replace("!", "") == expected


def test_parts_and_thoughts_stay_beside_a_call() -> None:
    call = {"type": "function", "function": {"name": "look", "arguments": "{}"}}
    answer = {"role": "assistant", "content": SAID, "tool_calls": [call], "reasoning_content": "Look.", "train_detail": [DETAIL[0]]}
    (example,) = read([{"messages": [{"role": "user", "content": "a"}, answer]}]).examples
    back = convert(example, "messages")
    assert back.losses == ()
    assert read([dict(back.record)]).examples[0] == example
