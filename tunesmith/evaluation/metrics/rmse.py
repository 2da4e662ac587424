"""Root of the mean squared error, in the unit of the data.

From 0; lower is better.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["RMSE"]


@dataclass(frozen=True, kw_only=True)
class RMSE:
    """Root of the mean squared error."""

    needs: ClassVar[Literal["label", "labels", "tags", "number", "span", "text", "nll"]] = "number"
    higher_is_better: ClassVar[bool] = False
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The squared error."""
        return ((float("nan") if output.number is None else output.number - float(reference)) ** 2,)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Root of the mean."""
        return float(np.sqrt(stats_nk.mean()))
