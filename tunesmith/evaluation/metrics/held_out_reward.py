"""Held-out reward: the mean of what a policy's own answers are rewarded by judges that it is not trained by.

In the unit of the recipe's `evaluate.rewards`; measured where it names some. Where `reward` rises and this falls, the policy has found a way around its reward (Gao, Schulman, Hilton, 2023,
"Scaling Laws for Reward Model Overoptimization", https://arxiv.org/abs/2210.10760).
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["HeldOutReward"]


@dataclass(frozen=True, kw_only=True)
class HeldOutReward:
    """Mean reward of an answer by judges that it is not trained by."""

    needs: ClassVar[Literal["rewarded"]] = "rewarded"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False
    reads_reference: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The reward."""
        return (float("nan") if output.held_out_reward is None else output.held_out_reward,)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
