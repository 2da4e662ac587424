"""F1 as in SQuAD: the mean over rows of the F1 score of the words that an answer shares with the marked one that it is nearest to.

Between 0 and 1; letter case, punctuation and articles apart. Where the text holds no answer, the empty one counts 1.
Source: Rajpurkar et al. (2016), "SQuAD", https://arxiv.org/abs/1606.05250, section 6.1.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output, SpanQuestion
from tunesmith.evaluation.metrics._squad import normal, overlap, true_answers

__all__ = ["SquadF1"]


@dataclass(frozen=True, kw_only=True)
class SquadF1:
    """Mean overlap of words with the nearest marked answer."""

    needs: ClassVar[Literal["label", "labels", "tags", "number", "span", "text", "nll"]] = "span"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The row's F1 score."""
        assert isinstance(example, SpanQuestion)
        said = normal(output.span or "")
        return (max(overlap(said, normal(answer)) for answer in true_answers(example)),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
