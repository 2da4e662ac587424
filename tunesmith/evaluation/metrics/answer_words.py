"""Answer length: the mean number of words of an answer, parted by white space.

0 and up; more is neither better nor worse. Where a script writes no spaces, see the mean number of characters beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["AnswerWords"]


@dataclass(frozen=True, kw_only=True)
class AnswerWords:
    """Words an answer."""

    needs: ClassVar[Literal["text"]] = "text"
    higher_is_better: ClassVar[None] = None
    is_proportion: ClassVar[bool] = False
    on_request: ClassVar[bool] = True
    reads_reference: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Words and characters of the answer."""
        text = output.text or ""
        return float(len(text.split())), float(len(text))

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows' words."""
        return float(stats_nk[:, 0].mean())

    def details(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> Mapping[str, float]:
        """Mean number of characters."""
        return {"characters": float(stats_nk[:, 1].mean())}
