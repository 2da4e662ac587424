"""Brier score: the squared distance of a model's probabilities from the truth, summed over the classes.

0 is perfect, 2 the worst (sure, and wrong); lower is better. It asks for both: to tell the classes apart, and to be as sure as one is right. Of two classes it
is twice what is called so where only the probability of one class is looked at, as in scikit-learn's `brier_score_loss` with its default.
Source: Brier (1950), "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather Review 78:1, eq. 2.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["Brier"]


@dataclass(frozen=True, kw_only=True)
class Brier:
    """Mean over rows of the sum over classes of (probability - truth) squared."""

    needs: ClassVar[Literal["probabilities"]] = "probabilities"
    higher_is_better: ClassVar[bool] = False
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The row's score. A true class that the model does not know has the probability 0."""
        truth = [float(name == reference) for name in output.classes]
        unknown = float(reference not in output.classes)
        return (sum((p - true) ** 2 for p, true in zip(output.probabilities, truth, strict=True)) + unknown,)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
