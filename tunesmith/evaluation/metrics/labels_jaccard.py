"""Jaccard index of rows with any number of classes: the mean over rows of the share of classes, true or predicted, that are both.

Between 0 and 1; a row with no class and none predicted counts 1.
Source: Godbole, Sarawagi (2004), "Discriminative Methods for Multi-labeled Classification", https://doi.org/10.1007/978-3-540-24775-3_5.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, MultiLabelled, Output

__all__ = ["LabelsJaccard"]


@dataclass(frozen=True, kw_only=True)
class LabelsJaccard:
    """Mean over rows of |true and predicted| / |true or predicted|."""

    needs: ClassVar[Literal["label", "labels", "tags", "number", "span", "text", "nll"]] = "labels"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The row's index."""
        assert isinstance(example, MultiLabelled)
        true, said = set(example.labels or ()), set(output.labels or ())
        return (len(true & said) / len(true | said) if true | said else 1.0,)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
