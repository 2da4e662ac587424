"""Accuracy: the share of rows whose predicted label is the true one.

Between 0 and 1.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["Accuracy"]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Share of right labels."""

    needs: ClassVar[Literal["label", "text", "nll"]] = "label"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """1 where the label is right, else 0."""
        return (float(output.label == reference),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
