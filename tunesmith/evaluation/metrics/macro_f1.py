"""Macro-F1: the F1 score of each class, averaged with every class weighing the same.

Between 0 and 1. A class counts where it is true or predicted in some row, as in scikit-learn's `f1_score(average="macro")`.
Source: Opitz, Burst (2019), "Macro F1 and Macro F1", https://arxiv.org/abs/1911.03347, the mean of F1 scores.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._labels import NO_LABEL, class_counts, label_code

__all__ = ["MacroF1"]


@dataclass(frozen=True, kw_only=True)
class MacroF1:
    """Mean over classes of 2 right / (true + predicted)."""

    needs: ClassVar[Literal["label", "text", "nll"]] = "label"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Codes of the true and of the predicted label."""
        return label_code(reference), label_code(output.label or "")

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """From the counts of each class."""
        first = int(bool((stats_nk == NO_LABEL).any()))  # an answer without a label is wrong, and no label is no class
        right, true, predicted = class_counts(stats_nk)[:, first:]
        return float((2 * right / (true + predicted)).mean())
