"""Prompt templates: one, several, and which row gets which."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.core.types import Completion, Labelled, ModelFacts, Origin
from tunesmith.data import TextEncoder
from tunesmith.data.wording import Wording, fill

TEMPLATES = ("Is it good? {text}", "{text}\nGood or bad?", "Judge: {text}")


def _rows(count: int, file: str = "a.csv") -> list[Labelled]:
    return [Labelled(f"film {row}", "good", Origin(file, row)) for row in range(count)]


def test_names_are_filled_in_and_braces_kept() -> None:
    assert fill("{{x}} {a}{b}", a="1", b="{c}") == "{x} 1{c}"


def test_every_template_is_used_about_as_often() -> None:
    wording = Wording(TEMPLATES)
    asked = Counter(TEMPLATES.index(wording.request(row).replace(row.text, "{text}")) for row in _rows(600))
    assert all(150 < asked[index] < 250 for index in range(3))


def test_a_row_is_asked_the_same_again_wherever_it_lies() -> None:
    here, there = ([Wording(TEMPLATES).request(row) for row in _rows(50, file=file)] for file in ("a.csv", "elsewhere.csv"))
    assert here == there


def test_a_row_whose_text_is_written_another_way_keeps_its_template() -> None:
    for row in _rows(30):
        shouted = replace(row, text=row.text.upper())
        assert Wording(TEMPLATES).request(shouted) == Wording(TEMPLATES).request(row).replace(row.text, shouted.text)


def test_the_same_text_in_two_rows_may_be_asked_in_two_ways() -> None:
    asked = {Wording(TEMPLATES).request(Completion("why?", "so", Origin("a", row))) for row in range(30)}
    assert asked == {template.format(text="why?") for template in TEMPLATES}


def test_of_several_templates_a_bad_one_is_named() -> None:
    with pytest.raises(RecipeError, match="data.template: 'hello' names no column"):
        Wording(("{text}", "hello"))
    with pytest.raises(RecipeError, match="cannot be read"):
        Wording(("{text}", "{text"))


def test_training_and_prompt_word_a_row_alike(chatml: Any, facts: Callable[..., ModelFacts]) -> None:
    encoder = TextEncoder(chatml, facts(), ("bad", "good"), template=TEMPLATES, labelled_as="answer")
    for row in _rows(12):
        encoded, prompt = encoder.encode(row), encoder.prompt(row)
        assert encoded.tokens[: len(prompt)] == prompt
