"""A penalty on repetition: minus the share of an answer's word pairs that stood in it before.

Between -1 and 0: 1 minus distinct-2 of the answer alone. Source: Li et al. (2016), https://arxiv.org/abs/1510.03055, section 5.3 (distinct-2).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.core.rewards import Ask, Response

__all__ = ["Repetition"]


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """How much an answer repeats itself, below 0."""

    weight: float = 1.0
    """What it counts beside the recipe's other rewards."""

    def score(self, responses: Sequence[Response], ask: Ask) -> list[float]:
        """0 or less an answer; 0 of one of fewer than two words."""
        return [_repeated(response.text.split()) for response in responses]


def _repeated(words: Sequence[str]) -> float:
    pairs = list(itertools.pairwise(words))
    return len(set(pairs)) / len(pairs) - 1 if pairs else 0.0
