"""Exact match of rows with any number of classes: the share of rows whose classes are all there and no others (subset accuracy).

Between 0 and 1.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, MultiLabelled, Output

__all__ = ["LabelsExactMatch"]


@dataclass(frozen=True, kw_only=True)
class LabelsExactMatch:
    """Share of rows whose predicted classes are the true ones."""

    needs: ClassVar[Literal["label", "labels", "tags", "number", "span", "text", "nll"]] = "labels"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """1 where the sets are equal, else 0."""
        assert isinstance(example, MultiLabelled)
        true, said = set(example.labels or ()), set(output.labels or ())
        return (float(true == said),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
