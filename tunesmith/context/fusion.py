"""Several rankings of the same passages made into one.

score of a passage = sum over rankings of 1 / (60 + its rank there), from 1

Source: Cormack, Clarke, Buettcher (2009), "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", https://doi.org/10.1145/1571941.1572114.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import TypeVar

__all__ = ["fused"]

K = TypeVar("K", bound=Hashable)
_CONSTANT = 60
"""The paper's, which it found to matter little."""


def fused(rankings: Sequence[Sequence[K]]) -> list[K]:
    """What any of the rankings holds, the best first; of two with the same score, the one that an earlier ranking holds first."""
    scores = defaultdict[K, float](float)
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] += 1 / (_CONSTANT + rank)
    return sorted(scores, key=lambda key: -scores[key])
