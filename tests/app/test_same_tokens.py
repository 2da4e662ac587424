"""Numbers that are per token are compared where the tokens are the same ones."""

from typing import Any

import pytest

from tunesmith.app.same_tokens import same_tokens


def _report(tokens: int) -> dict[str, Any]:
    return {"data": {"splits": {"test": {"tokens": tokens, "lengths": {"median": tokens // 2}}}}}


def _stats(*numbers: tuple[float, ...]) -> dict[str, list[Any]]:
    return {"row": [f"row {place}" for place in range(len(numbers))], "tuned": [list(one) for one in numbers]}


@pytest.mark.parametrize("metric", ["accuracy", "bits_per_byte", "rougeL"])
def test_what_is_not_per_token_is_compared_whatever_the_tokens(metric: str) -> None:
    assert same_tokens(metric, (_report(10), _report(12)), (_stats((1.0, 4.0)), _stats((1.0, 5.0))))


def test_of_a_perplexity_every_row_says_how_many_tokens_it_was_measured_of() -> None:
    reports = _report(10), _report(10)
    assert same_tokens("perplexity", reports, (_stats((1.0, 4.0), (2.0, 6.0)), _stats((3.0, 4.0), (1.0, 6.0))))
    assert not same_tokens("perplexity", reports, (_stats((1.0, 4.0), (2.0, 6.0)), _stats((1.0, 6.0), (2.0, 4.0))))


@pytest.mark.parametrize(("metric", "numbers"), [("answer_tokens", ((9.0,), (4.0,))), ("masked_perplexity", ((1.0, 3.0), (1.0, 2.0)))])
def test_of_what_is_written_or_masked_the_rows_say_it_by_how_many_tokens_they_are(
    metric: str, numbers: tuple[tuple[float, ...], ...]
) -> None:
    stats = _stats(numbers[0]), _stats(numbers[1])
    assert same_tokens(metric, (_report(10), _report(10)), stats)
    assert not same_tokens(metric, (_report(10), _report(12)), stats)
