"""Token F1: the mean over rows of the F1 score of the words that an answer shares with its reference, as SQuAD compares them.

Between 0 and 1; letter case, punctuation and the English articles apart. Of several references the nearest counts. An empty answer scores 1 where a
reference is empty too (or nothing but articles and punctuation), else 0. For pieces of a context see squad_f1.
Source: Rajpurkar et al. (2016), "SQuAD", https://arxiv.org/abs/1606.05250, section 6.1.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._squad import normal, overlap
from tunesmith.evaluation.references import references_of

__all__ = ["TokenF1"]


@dataclass(frozen=True, kw_only=True)
class TokenF1:
    """Mean overlap of words with the nearest reference."""

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False
    on_request: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The row's F1 score."""
        said = normal(output.text or "")
        return (max(overlap(said, normal(true)) for true in references_of(example, reference)),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
