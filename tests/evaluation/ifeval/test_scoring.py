"""Strict and loose scores, by prompts and by instructions, worked by hand."""

import math

import pytest

from tunesmith.core.statistics import wilson
from tunesmith.evaluation.ifeval import Followed, accuracies, compare, followed, followed_by_instruction

NO_COMMA, QUOTED, ENDS, HIGHLIGHTS = (
    "punctuation:no_comma",
    "startend:quotation",
    "startend:end_checker",
    "detectable_format:number_highlighted_sections",
)


def outcome(*strict: bool, loose: tuple[bool, ...] | None = None) -> Followed:
    return Followed((NO_COMMA, QUOTED)[: len(strict)], strict, loose or strict)


@pytest.mark.parametrize(
    "response",
    ["Sure, here:\n{}", "{}\nHope that helps, friend", "Sure, here:\n{}\nHope that helps, friend", "**{}**", "Sure:\n*{}*\nBye, now"],
)
def test_a_loose_score_forgives_an_introduction_an_outro_and_asterisks(response: str) -> None:
    given = [{}, {"end_phrase": "The end."}]
    found = followed([QUOTED, ENDS], given, response.format('"It is over. The end."'))
    assert not all(found.strict)
    assert found.loose == (True, True)


def test_each_instruction_may_be_followed_by_another_variant() -> None:
    found = followed([NO_COMMA, HIGHLIGHTS], [{}, {"num_highlights": 1}], "Sure, *here*:\nAll of it")
    assert found == Followed((NO_COMMA, HIGHLIGHTS), (False, True), (True, True))


@pytest.mark.parametrize("response", ["", "  \n "])
def test_an_empty_response_is_never_right(response: str) -> None:
    assert followed([NO_COMMA], [{}], response) == Followed((NO_COMMA,), (False,), (False,))


def test_an_answer_is_not_right_for_what_is_left_of_it_being_empty() -> None:
    assert followed([NO_COMMA], [{}], "One, two").loose == (False,)


def test_ids_and_arguments_that_differ_in_number_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        followed([NO_COMMA, QUOTED], [{}], "text")


def test_accuracies_count_whole_prompts_and_single_instructions() -> None:
    found = accuracies([outcome(True, True), outcome(True, False, loose=(True, True)), outcome(False), outcome(True)], seed=0)
    assert found["prompt_strict"] == wilson(2, 4)
    assert found["prompt_loose"] == wilson(3, 4)
    assert found["instruction_strict"].value == pytest.approx(4 / 6)
    assert found["instruction_loose"].value == pytest.approx(5 / 6)
    assert 0 <= found["instruction_strict"].low < 4 / 6 < found["instruction_strict"].high <= 1


def test_two_models_are_compared_on_the_same_prompts() -> None:
    base, tuned = [outcome(False, True)] * 6, [outcome(True, True)] * 6
    found = compare(base, tuned, seed=0)
    assert found["prompt_strict"].difference.value == 1
    assert found["prompt_strict"].difference.test == "mcnemar"
    assert found["prompt_strict"].difference.p == pytest.approx(2 / 2**6)
    assert found["instruction_loose"].difference.value == pytest.approx(0.5)
    assert math.isnan(found["instruction_loose"].difference.low)
    with pytest.raises(ValueError, match="different prompts"):
        compare(base, tuned[1:], seed=0)


def test_no_outcomes_are_refused() -> None:
    with pytest.raises(ValueError, match="no outcomes"):
        accuracies([], seed=0)


def test_kinds_are_counted() -> None:
    found = followed_by_instruction([outcome(True, True), outcome(False, loose=(True,))])
    assert found == {NO_COMMA: {"strict": 1, "loose": 2, "total": 2}, QUOTED: {"strict": 1, "loose": 1, "total": 1}}
