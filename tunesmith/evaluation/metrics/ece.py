"""ECE: expected calibration error, how far a model's sureness lies from how often it is right.

0 is perfect, 1 the worst; lower is better. Rows fall into ten bins of equal width by the probability of the label that was said, and each bin counts by its
rows. It is biased upwards where rows are few: of a perfectly calibrated model 0 is hardly ever measured, and its interval, which is resampled, lies above 0.
Source: Guo et al. (2017), "On Calibration of Modern Neural Networks", https://arxiv.org/abs/1706.04599, eq. 5.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.calibration import NUM_BINS, bin_of, sure_and_right

__all__ = ["ECE"]


@dataclass(frozen=True, kw_only=True)
class ECE:
    """Mean over rows of |sure - right| of their bin."""

    needs: ClassVar[Literal["probabilities"]] = "probabilities"
    higher_is_better: ClassVar[bool] = False
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The probability of the label that was said, and whether it is right."""
        return sure_and_right(output, reference)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Each bin's |sum of sure - sum of right|, over the rows. NaN where a probability is no number."""
        sure, right = stats_nk.T
        if np.isnan(sure).any():
            return float("nan")
        gaps = np.bincount(bin_of(sure), weights=sure - right, minlength=NUM_BINS)
        return float(np.abs(gaps).sum() / len(stats_nk))
