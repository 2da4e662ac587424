"""Lengths in tokens are those of the encoder, and rows that do not fit are named."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.data.checks.rows import chat, labelled, pair, texts
from tunesmith.core.types import ModelFacts
from tunesmith.data import TextEncoder
from tunesmith.data.checks.lengths import measure_lengths, quantiles


def test_quantiles_are_numbers_that_are_there() -> None:
    assert quantiles(range(100, 0, -1)) == {"min": 1, "p5": 5, "median": 50, "p95": 95, "p99": 99, "max": 100}
    assert quantiles([7]) == {"min": 7, "p5": 7, "median": 7, "p95": 7, "p99": 7, "max": 7}
    assert set(quantiles([]).values()) == {0}


@pytest.fixture
def words(bert: Any, facts: Callable[..., ModelFacts]) -> TextEncoder:
    """A classifier's encoder of eight tokens a row, two of them [CLS] and [SEP]."""
    return TextEncoder(bert, facts(is_causal=False, has_token_types=True, max_length=8), ("x", "y"))


def test_rows_longer_than_the_context_are_counted_with_their_tokens(words: TextEncoder) -> None:
    rows = labelled(("film", "x"), ("good film", "x"), ("the film was good the film was bad", "y"))
    lengths, (found,) = measure_lengths("train", rows, words)
    assert (lengths.context, lengths.min, lengths.median, lengths.max, lengths.total) == (8, 3, 4, 10, 17)
    assert (lengths.num_over, lengths.num_tokens_over, lengths.num_nothing_left) == (1, 2, 0)
    assert (found.check, found.severity, found.count) == ("too_long", "warning", 1)
    assert "1 of 3 rows (33.3%) of train are longer than the 8 tokens" in found.text
    assert (found.examples[0].row, found.examples[0].text) == (4, "10 tokens")


@pytest.mark.parametrize(("too_long", "severity", "said"), [("drop", "warning", "left out"), ("refuse", "error", "tuning refuses them")])
def test_what_becomes_of_them_is_the_recipes(words: TextEncoder, too_long: Any, severity: str, said: str) -> None:
    _, (found,) = measure_lengths("train", labelled(("the film was good the film was bad", "y")), words, too_long)
    assert found.severity == severity
    assert said in found.text


def test_raw_text_is_never_cut(words: TextEncoder) -> None:
    lengths, (found,) = measure_lengths("train", texts("the film was good the film was bad the film"), words)
    assert lengths.num_over == 1
    assert (found.severity, "each becomes several rows" in found.text) == ("note", True)


def test_an_answer_that_is_cut_away_whole(chatml: Any, facts: Callable[..., ModelFacts]) -> None:
    encoder = TextEncoder(chatml, facts(max_length=120))
    rows = [pair("Why?", "Because!"), pair("Why? " * 40, "Because!", 2)]
    lengths, found = measure_lengths("train", rows, encoder)
    assert lengths.num_nothing_left == 1
    assert [(one.check, one.examples[0].row) for one in found] == [("too_long", 2), ("nothing_left", 2)]


def test_rows_that_the_chat_template_refuses_are_errors(chatml: Any, facts: Callable[..., ModelFacts]) -> None:
    import copy

    strict = copy.deepcopy(chatml)
    strict.chat_template = "{% if messages[0]['role'] != 'user' %}{{ raise_exception('the user first') }}{% endif %}" + chatml.chat_template
    rows = [chat("user: Why?", "assistant: Because!"), chat("assistant: Because!", "user: Why?", "assistant: Because!", row=2)]
    lengths, found = measure_lengths("train", rows, TextEncoder(strict, facts(max_length=200)))
    assert lengths.min > 0
    (one,) = found
    assert (one.check, one.severity, one.count, one.removes) == ("template", "error", 1, {("chats.jsonl", 2)})
    assert "the user first" in one.examples[0].text
