"""Pair accuracy: of the pairs of answers of which people liked one better, the share in which it has the higher score.

Between 0 and 1; equal scores count half, and 0.5 is no skill. Of more than two ranked answers every two of different rank are a pair.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._judged import is_ranked, judged_pairs

__all__ = ["PairAccuracy"]


@dataclass(frozen=True, kw_only=True)
class PairAccuracy:
    """Share of pairs in which the better answer has the higher score."""

    needs: ClassVar[Literal["scores"]] = "scores"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def applies(self, example: Example, reference: str) -> bool:
        """Where answers were liked more and less."""
        return is_ranked(example)

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Pairs in the right order, and all."""
        gaps = list(judged_pairs(example, output))
        return sum((gap > 0) + 0.5 * (gap == 0) for gap in gaps), float(len(gaps))

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Right ones over all."""
        right, pairs = stats_nk.sum(0)
        return float(right / pairs)
