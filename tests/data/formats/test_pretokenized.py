"""Rows that are tokens already go to the model as they are, and are refused where they cannot be meant."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunesmith.app.chosen_objective import choose_objective
from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin, Tokens
from tunesmith.data import TextEncoder, content_key, read
from tunesmith.data.split import num_duplicates
from tunesmith.evaluation.score import text_of
from tunesmith.objective.causal_lm import CausalLM
from tunesmith.objective.sft import SFT

HERE = Origin("list", 1)


def one(**record: Any) -> Tokens:
    example = read([record]).examples[0]
    assert isinstance(example, Tokens)
    return example


@pytest.mark.parametrize("spelled", [[5, 6, 7, 8], (5, 6, 7, 8), "[5, 6, 7, 8]", np.array([5, 6, 7, 8])])
def test_tokens_without_labels_are_all_learned_but_the_first_which_nothing_predicts(spelled: Any) -> None:
    assert one(input_ids=spelled) == Tokens((5, 6, 7, 8), (False, True, True, True), HERE)


def test_labels_say_what_is_learned() -> None:
    example = one(input_ids=[5, 6, 7, 8], labels=[-100, -100, 7, 8])
    assert (example.scored, example.num_asked) == ((False, False, True, True), 2)
    assert read([{"input_ids": [5, 6], "labels": [5, 6]}]).facts.format == "pretokenized"


def test_padding_is_left_out_on_either_side() -> None:
    assert one(input_ids=[0, 0, 5, 6, 0], labels=[-100, -100, 5, 6, -100], attention_mask=[0, 0, 1, 1, 0]).tokens == (5, 6)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"input_ids": [5, 6], "labels": [5]}, r"list:1: 1 labels beside 2 input_ids"),
        ({"input_ids": [5, 6], "attention_mask": [1, 1, 1]}, r"list:1: 3 attention_mask beside 2 input_ids"),
        ({"input_ids": [5, 6, 7], "labels": [-100, 7, -100]}, r"list:1: labels holds 7 at place 1, where input_ids holds 6.*Do not shift"),
        ({"input_ids": [5, 6], "labels": [-100, -100]}, "no token behind the first is learned"),
        ({"input_ids": [5, 6], "labels": [5, -100]}, "no token behind the first is learned"),
        ({"input_ids": []}, r"expected a list of whole numbers"),
        ({"input_ids": [5, "6"]}, r'holds "6" at place 1, expected a whole number'),
        ({"input_ids": [5, True]}, r"holds True at place 1"),
        ({"input_ids": [5, 6.0]}, r"holds 6\.0 at place 1"),
        ({"input_ids": "five"}, "is no JSON"),
        ({"input_ids": [5, 6, 7], "attention_mask": [1, 0, 1]}, "zeros only for padding"),
        ({"input_ids": [5, 6], "attention_mask": [0, 0]}, "zeros only for padding"),
    ],
)
def test_rows_that_cannot_be_meant_are_refused_by_row(record: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read([record])
    assert "\n" not in str(caught.value)


def test_columns_may_be_called_otherwise() -> None:
    example = read([{"ids": [5, 6, 7], "marks": [-100, 6, 7]}], columns={"input_ids": "ids", "labels": "marks"}).examples[0]
    assert example == Tokens((5, 6, 7), (False, True, True), HERE)


def test_the_model_gets_the_tokens_as_they_are(base: Any, facts: Callable[..., Any]) -> None:
    encoder = TextEncoder(base, facts(max_length=4))
    example = one(input_ids=[9, 8, 7, 6], labels=[-100, -100, 7, 6])
    (row,) = SFT().encode(example, encoder)
    assert (row.segments[0].tokens, row.targets.positions, row.targets.labels) == ((9, 8, 7, 6), (1, 2), (7, 6))
    assert encoder.prompt(example) == (9, 8)
    assert encoder.reference(example) == base.decode([7, 6])


def test_tokens_longer_than_the_model_are_cut_for_answers_and_go_on_in_windows_for_texts(base: Any, facts: Callable[..., Any]) -> None:
    encoder = TextEncoder(base, facts(max_length=4))
    example = one(input_ids=[1, 2, 3, 4, 5, 6], labels=[-100, 2, 3, -100, 5, 6])
    assert encoder.encode(example).num_cut == 2
    rows = CausalLM().encode(example, encoder)
    assert [row.segments[0].tokens for row in rows] == [(1, 2, 3, 4), (4, 5, 6)]
    assert [row.targets.labels for row in rows] == [(2, 3), (5, 6)]


@pytest.mark.parametrize("token", [400, -1])
def test_a_token_that_the_model_does_not_have_is_named_by_its_row(token: int, base: Any, facts: Callable[..., Any]) -> None:
    encoder = TextEncoder(base, facts(vocab_size=400))
    with pytest.raises(DataError, match=rf"list:1: the token {token} is none of tiny, which has 0 to 399"):
        CausalLM().encode(one(input_ids=[5, token]), encoder)
    with pytest.raises(DataError, match="reads a source and writes a target"):
        TextEncoder(base, facts(is_encoder_decoder=True)).encode(one(input_ids=[5, 6]))


def test_labels_decide_between_learning_answers_and_texts() -> None:
    assert choose_objective(None, [one(input_ids=[5, 6, 7])])[0] == "causal_lm"
    assert choose_objective(None, [one(input_ids=[5, 6, 7], labels=[-100, -100, 7])])[0] == "sft"


def test_rows_of_one_question_stay_together_when_they_are_split() -> None:
    asked = [one(input_ids=[5, 6, answer], labels=[-100, -100, answer]) for answer in (7, 8)]
    assert content_key(asked[0]) == content_key(asked[1])
    assert num_duplicates(asked) == 0
    assert num_duplicates([asked[0], asked[0]]) == 1
    assert content_key(one(input_ids=[5, 6, 7])) != content_key(one(input_ids=[5, 6, 8]))
    assert text_of(asked[0]) == "5 6"
