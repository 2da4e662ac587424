"""Answer tokens: the mean length of a policy's own answers, in tokens of its model.

With the token that ends it. A reward that long answers get more of shows here.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["AnswerTokens"]


@dataclass(frozen=True, kw_only=True)
class AnswerTokens:
    """Mean length of an answer."""

    needs: ClassVar[Literal["rewarded"]] = "rewarded"
    higher_is_better: ClassVar[bool | None] = None
    is_proportion: ClassVar[bool] = False
    reads_reference: ClassVar[bool] = False
    is_per_token: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The length."""
        return (float(output.num_written),)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
