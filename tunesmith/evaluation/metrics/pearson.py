"""Pearson's correlation of the predicted numbers with the true ones.

Between -1 and 1; a linear change of the predictions does not count. NaN where either side is constant.
Source: Cer et al. (2017), "SemEval-2017 Task 1", https://arxiv.org/abs/1708.00055, section 5.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["Pearson"]


@dataclass(frozen=True, kw_only=True)
class Pearson:
    """Linear correlation."""

    needs: ClassVar[Literal["label", "labels", "tags", "number", "span", "text", "nll"]] = "number"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The true and the predicted number."""
        return float(reference), float("nan") if output.number is None else output.number

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Covariance over the product of the deviations."""
        if (stats_nk == stats_nk[:1]).all(axis=0).any():  # by the numbers themselves: the mean of equal ones may be rounded
            return float("nan")
        centred = stats_nk - stats_nk.mean(axis=0)
        lengths = np.sqrt((centred**2).sum(axis=0))
        return float((centred[:, 0] * centred[:, 1]).sum() / lengths.prod()) if lengths.prod() > 0 else float("nan")
