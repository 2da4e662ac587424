"""Prompts with a better and a worse answer each, as tokens of the tiny models, and rows of them."""

from collections.abc import Sequence

from tunesmith.core.types import Encoded, Origin, Row
from tunesmith.objective._answers import answered_row

__all__ = ["CHOSEN", "HERE", "PROMPTS", "REJECTED", "row_of"]

HERE = Origin("x", 1)
PROMPTS = ((5, 6, 7), (8, 9), (10, 11, 12, 13), (14, 15, 16))
CHOSEN = ((20, 21, 2), (22, 2), (23, 24, 25, 26, 2), (27, 2))
REJECTED = ((30, 2), (31, 32, 33, 2), (34, 2), (35, 36, 37, 2))


def row_of(prompt: Sequence[int], answers: Sequence[Sequence[int]], **values: tuple[float, ...]) -> Row:
    """A prompt with its answers, every token of which is scored."""
    wholes = [Encoded((*prompt, *one), (0,) * (len(prompt) + len(one)), (False,) * len(prompt) + (True,) * len(one)) for one in answers]
    row = answered_row(tuple(prompt), wholes, HERE, values=values)
    assert row is not None
    return row
