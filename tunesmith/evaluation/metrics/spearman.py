"""Spearman's correlation: Pearson's of the ranks, equal numbers sharing their mean rank.

Between -1 and 1; any growing change of the predictions does not count. NaN where either side is constant.
Source: Spearman (1904), "The Proof and Measurement of Association between Two Things", https://doi.org/10.2307/1412159.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._numbers import ranks

__all__ = ["Spearman"]


@dataclass(frozen=True, kw_only=True)
class Spearman:
    """Correlation of ranks."""

    needs: ClassVar[Literal["label", "labels", "tags", "number", "span", "text", "nll"]] = "number"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The true and the predicted number."""
        return float(reference), float("nan") if output.number is None else output.number

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Covariance of the ranks over the product of their deviations."""
        centred = np.stack([ranks(column) for column in stats_nk.T], axis=1) - (len(stats_nk) + 1) / 2
        lengths = np.sqrt((centred**2).sum(axis=0))
        return float((centred[:, 0] * centred[:, 1]).sum() / lengths.prod()) if lengths.prod() > 0 else float("nan")
