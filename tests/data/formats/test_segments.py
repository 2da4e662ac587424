"""A text in parts goes to the model as it is written, and learned is what is marked."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.app.chosen_objective import choose_objective
from tunesmith.core.errors import DataError
from tunesmith.core.types import Marked, ModelFacts, Origin
from tunesmith.data import TextEncoder, content_key, read
from tunesmith.data.checks.texts import asked, full_text
from tunesmith.data.split import num_duplicates
from tunesmith.evaluation.score import text_of

Facts = Callable[..., ModelFacts]
HERE = Origin("list", 1)
TURN = [
    {"label": False, "text": "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"},
    {"label": True, "text": "Because "},
    {"label": True, "text": "of it<|im_end|>"},
]


def one(segments: Any) -> Marked:
    example = read([{"segments": segments}]).examples[0]
    assert isinstance(example, Marked)
    return example


def test_parts_are_kept_as_they_are_and_empty_ones_left_out() -> None:
    example = one([*TURN, {"label": True, "text": ""}])
    assert example.parts == tuple((part["text"], part["label"]) for part in TURN)
    assert one(json.dumps(TURN)) == example
    assert (example.num_asked, example.question, example.answer) == (1, TURN[0]["text"], "Because of it<|im_end|>")
    assert choose_objective(None, [example])[0] == "sft"


def test_of_several_answers_the_last_is_asked_for() -> None:
    example = one(
        [{"label": True, "text": "a"}, {"label": False, "text": "b"}, {"label": True, "text": "c"}, {"label": False, "text": "d"}]
    )
    assert (example.question, example.answer) == ("ab", "c")
    learned = one([{"label": True, "text": "all of it"}])
    assert (learned.num_asked, learned.question, learned.answer) == (0, "all of it", "all of it")


def test_the_model_reads_the_special_tokens_that_the_parts_spell(chatml: Any, facts: Facts) -> None:
    encoder, example = TextEncoder(chatml, facts()), one(TURN)
    encoded = encoder.encode(example)
    assert encoder.spell(encoded.tokens) == example.question + example.answer
    assert encoder.spell([token for token, scored in zip(encoded.tokens, encoded.scored, strict=True) if scored]) == example.answer
    assert encoder.prompt(example) == encoded.tokens[: len(encoder.prompt(example))]
    assert encoder.spell(encoder.prompt(example)) == example.question
    assert encoder.reference(example) == "Because of it"
    assert not encoder.encode(one([{"label": True, "text": "all of it"}])).scored[0]


def test_a_part_in_the_middle_gets_no_space_of_its_own(sentencepiece: Any, facts: Facts) -> None:
    encoder = TextEncoder(sentencepiece, facts())
    encoded = encoder.encode(one([{"label": False, "text": "<s>the fi"}, {"label": True, "text": "lm</s>"}]))
    assert encoder.spell(encoded.tokens) == "<s>the film</s>"


def test_an_encoder_decoder_is_told_to_take_pairs(seq2seq: Any, facts: Facts) -> None:
    encoder = TextEncoder(seq2seq, facts(is_encoder_decoder=True, decoder_start_token_id=0))
    with pytest.raises(DataError, match="list:1: tiny reads a source and writes a target.*Bring pairs of texts"):
        encoder.encode(one(TURN))


def test_equal_questions_stay_together_and_equal_rows_are_duplicates() -> None:
    first, other = one(TURN), one([TURN[0], {"label": True, "text": "No reason<|im_end|>"}])
    assert content_key(first) == content_key(other)
    assert num_duplicates([first, other]) == 0
    assert num_duplicates([first, one(TURN)]) == 1
    assert (asked(first), full_text(first), text_of(first)) == (first.question, "\n".join(part["text"] for part in TURN), first.question)


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ([], 'the column "segments" holds [], expected a list of'),
        ("nothing", 'the column "segments"'),
        ([{"text": "a"}], 'segment 1 is {\'text\': \'a\'}, expected {"label": true, "text": "..."}'),
        ([{"label": 1, "text": "a"}], "segment 1 is"),
        ([{"label": True, "text": None}], "segment 1 is"),
        ([{"label": False, "text": "a"}, {"label": True, "text": " "}], 'no segment with a text has "label": true, so nothing to learn'),
        ([{"label": True, "text": "a\ud800"}], "segment 1"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_row(segments: Any, said: str) -> None:
    with pytest.raises(DataError) as error:
        read([{"segments": segments}])
    assert str(error.value).startswith("list:1: ") or str(error.value).startswith("list, item 1")
    assert said in str(error.value)
