"""Answers that nobody wrote, for rewards to look at."""

from collections.abc import Sequence
from typing import Any, NoReturn

from tunesmith.core.rewards import Response
from tunesmith.core.types import Completion, Example, Origin

__all__ = ["PROMPT", "nobody", "response"]

PROMPT = "How are you?"


def response(
    text: str, *, reference: str = "", num_tokens: int | None = None, has_ended: bool = True, example: Example | None = None
) -> Response:
    """An answer; as many tokens as it has words, and the one that ends it."""
    asked = example or Completion(PROMPT, reference, Origin("asked.jsonl", 3))
    return Response(asked, PROMPT, text, reference, len(text.split()) + has_ended if num_tokens is None else num_tokens, has_ended)


def nobody(run: str, examples: Sequence[Any]) -> NoReturn:
    """Of rewards that ask no run."""
    raise AssertionError(f"{run} was asked")
