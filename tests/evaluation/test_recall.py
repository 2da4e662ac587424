"""Facts in conversations: where they stand, and what counts as found."""

import re

import pytest

from tunesmith.evaluation.recall import _EXCHANGES, _KINDS, _NOTED, draw_facts, is_recalled


def test_a_fact_stands_between_the_exchanges_and_its_question_comes_last() -> None:
    (fact,) = draw_facts(1, seed=0)
    messages = fact.prompt(2, 3).messages
    assert [message.role for message in messages] == ["user", "assistant"] * 6 + ["user"]
    assert (messages[4].content, messages[5].content, messages[-1].content) == (fact.statement, _NOTED, fact.question)
    assert [message.content for message in messages].count(fact.statement) == 1
    assert fact.value in fact.statement


def test_without_the_fact_the_rest_is_the_same() -> None:
    (fact,) = draw_facts(1, seed=0)
    stated, silent = fact.prompt(1, 1).messages, fact.prompt(1, 1, is_stated=False).messages
    assert silent == stated[:2] + stated[4:]


def test_more_exchanges_than_there_are_begin_again() -> None:
    (fact,) = draw_facts(1, seed=0)
    turns = fact.prompt(0, len(_EXCHANGES) + 1).messages
    assert turns[2] == turns[-3]


def test_the_same_seed_draws_the_same_facts_of_every_kind() -> None:
    facts = draw_facts(len(_KINDS) * 2, seed=3)
    assert facts == draw_facts(len(_KINDS) * 2, seed=3)
    assert facts != draw_facts(len(_KINDS) * 2, seed=4)
    assert len({fact.question for fact in facts}) == len(_KINDS)
    assert facts[0].exchanges != facts[1].exchanges


def test_no_exchange_and_no_question_gives_a_value_away() -> None:
    said = " ".join([*(text for exchange in _EXCHANGES for text in exchange), *(question for _, question, _ in _KINDS), _NOTED])
    words = {word.lower() for word in re.findall(r"\w+", said)}
    assert not words & {value.lower() for _, _, values in _KINDS for value in values.split()}


@pytest.mark.parametrize(
    ("answer", "found"), [("It is {}.", True), ("{}", True), ("it is {}", True), ("x{}x", False), ("I do not know.", False), ("", False)]
)
def test_an_answer_is_right_where_it_holds_the_value_as_a_word(answer: str, found: bool) -> None:
    (fact,) = draw_facts(1, seed=0)
    assert is_recalled(fact, answer.format(fact.value)) is found
    assert is_recalled(fact, answer.format(fact.value.upper())) is found
