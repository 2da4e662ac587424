"""MCC: Matthews' correlation coefficient of true and predicted labels, for any number of classes.

1 is perfect, 0 no better than chance, -1 the opposite. It is 0 where one side has a single class, as in scikit-learn.
Source: Gorodkin (2004), "Comparing two K-category assignments by a K-category correlation coefficient", eq. 8.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._labels import class_counts, label_code

__all__ = ["MCC"]


@dataclass(frozen=True, kw_only=True)
class MCC:
    """Correlation of the true and the predicted classes."""

    needs: ClassVar[Literal["label", "text", "nll"]] = "label"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Codes of the true and of the predicted label."""
        return label_code(reference), label_code(output.label or "")

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """From the counts of each class."""
        right, true, predicted = class_counts(stats_nk)
        total = float(len(stats_nk))
        covariance = right.sum() * total - (true * predicted).sum()
        variances = float(total**2 - (true**2).sum()) * float(total**2 - (predicted**2).sum())
        return float(covariance / np.sqrt(variances)) if variances > 0 else 0.0
