"""Micro-F1 of rows with any number of classes: the F1 score of all decisions taken together.

Between 0 and 1. Frequent classes weigh most.
Source: Sokolova, Lapalme (2009), "A systematic analysis of performance measures for classification tasks", https://doi.org/10.1016/j.ipm.2009.03.002.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, MultiLabelled, Output

__all__ = ["LabelsMicroF1"]


@dataclass(frozen=True, kw_only=True)
class LabelsMicroF1:
    """2 right / (true + predicted), over the classes of all rows."""

    needs: ClassVar[Literal["label", "labels", "tags", "number", "span", "text", "nll"]] = "labels"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """How many classes are right, true, and predicted."""
        assert isinstance(example, MultiLabelled)
        true, said = set(example.labels or ()), set(output.labels or ())
        return float(len(true & said)), float(len(true)), float(len(said))

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """NaN where no row has a class and none is predicted."""
        right, true, said = stats_nk.sum(axis=0)
        return float(2 * right / (true + said)) if true + said > 0 else float("nan")
