"""Normalized exact match: the share of answers that equal their reference, or one of several, as SQuAD compares them.

Between 0 and 1; letter case, punctuation, the English articles and white space apart. It is measured only where `evaluate.metrics` names it. For letter for letter
see exact_match, for pieces of a context squad_exact_match.
Source: Rajpurkar et al. (2016), "SQuAD", https://arxiv.org/abs/1606.05250, section 6.1.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._squad import normal
from tunesmith.evaluation.references import references_of

__all__ = ["NormalizedExactMatch"]


@dataclass(frozen=True, kw_only=True)
class NormalizedExactMatch:
    """Share of answers that say what a reference says."""

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = True
    on_request: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """1 where the answer equals a reference, else 0."""
        said = normal(output.text or "")
        return (float(any(said == normal(true) for true in references_of(example, reference))),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
