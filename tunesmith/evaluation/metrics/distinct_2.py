"""Distinct-2: the share of the pairs of neighbouring words in the answers that do not stand in the same answer before.

Between 0 and 1; near 0 for a model that runs in circles. It is counted within each answer and summed over all: counted over all answers together, it would fall
with their number, and rows drawn twice could not be told from answers that repeat each other.
Sources: Li et al. (2016), "A Diversity-Promoting Objective Function", https://arxiv.org/abs/1510.03055; within answers: Gu et al. (2019),
"DialogWAE", https://arxiv.org/abs/1805.12352.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._distinct import distinct_and_all, distinct_share

__all__ = ["Distinct2"]


@dataclass(frozen=True, kw_only=True)
class Distinct2:
    """Different over all pairs of neighbouring words of each answer."""

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False
    on_request: ClassVar[bool] = True
    reads_reference: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """How many there are of them, different ones and all."""
        return distinct_and_all(output.text or "", 2)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """NaN where no answer is so long."""
        return distinct_share(stats_nk)
