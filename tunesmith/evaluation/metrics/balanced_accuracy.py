"""Balanced accuracy: the share of right labels among each class's own rows, averaged with every class weighing the same.

Between 0 and 1; 1 / classes for a guess, whatever the classes' shares. It is the mean over the classes that are true in some row, as in scikit-learn's
`balanced_accuracy_score`: a class that is only predicted has no rows of its own.
Source: Brodersen et al. (2010), "The Balanced Accuracy and Its Posterior Distribution", https://doi.org/10.1109/ICPR.2010.764.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._labels import class_counts, label_code

__all__ = ["BalancedAccuracy"]


@dataclass(frozen=True, kw_only=True)
class BalancedAccuracy:
    """Mean over classes of right / true."""

    needs: ClassVar[Literal["label"]] = "label"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False
    on_request: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Codes of the true and of the predicted label."""
        return label_code(reference), label_code(output.label or "")

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """From the counts of each class."""
        right, true, _ = class_counts(stats_nk)
        return float((right[true > 0] / true[true > 0]).mean())
