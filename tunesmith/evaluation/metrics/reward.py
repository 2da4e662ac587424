"""Reward: the mean of what a policy's own answers are rewarded, by what it is trained by.

In the unit of the recipe's `rewards`. A policy that finds a way around what they mean raises it, too: `held_out_reward` says whether others agree.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["Reward"]


@dataclass(frozen=True, kw_only=True)
class Reward:
    """Mean reward of an answer."""

    needs: ClassVar[Literal["rewarded"]] = "rewarded"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False
    reads_reference: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The reward."""
        return (float("nan") if output.rewarded is None else output.rewarded,)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
