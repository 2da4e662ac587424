"""Mean absolute error, in the unit of the data.

From 0; lower is better.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["MAE"]


@dataclass(frozen=True, kw_only=True)
class MAE:
    """Mean absolute error."""

    needs: ClassVar[Literal["label", "labels", "tags", "number", "span", "text", "nll"]] = "number"
    higher_is_better: ClassVar[bool] = False
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The absolute error."""
        return (abs(float("nan") if output.number is None else output.number - float(reference)),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
