"""Exact match as in SQuAD: the share of answers that equal one of the marked ones, letter case, punctuation, articles and spaces apart.

Between 0 and 1. Where the text holds no answer, the empty one is right.
Source: Rajpurkar et al. (2016), "SQuAD", https://arxiv.org/abs/1606.05250, section 6.1.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output, SpanQuestion
from tunesmith.evaluation.metrics._squad import normal, true_answers

__all__ = ["SquadExactMatch"]


@dataclass(frozen=True, kw_only=True)
class SquadExactMatch:
    """Share of answers that equal a marked one."""

    needs: ClassVar[Literal["label", "labels", "tags", "number", "span", "text", "nll"]] = "span"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """1 where an answer is right, else 0."""
        assert isinstance(example, SpanQuestion)
        said = normal(output.span or "")
        return (float(any(said == normal(answer) for answer in true_answers(example))),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
