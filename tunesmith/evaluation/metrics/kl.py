"""KL: how far a policy has gone from the model as it was, nats an answer: the mean of log pi(y | x) - log pi_ref(y | x) of answers that it drew itself.

An estimate without bias of the Kullback-Leibler divergence; 0 before training. Of best-of-n, the most that it can be. Source: Schulman (2020), "Approximating KL Divergence", http://joschu.net/blog/kl-approx.html, k1.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["KL"]


@dataclass(frozen=True, kw_only=True)
class KL:
    """Mean distance of an answer."""

    needs: ClassVar[Literal["rewarded"]] = "rewarded"
    higher_is_better: ClassVar[bool | None] = None
    is_proportion: ClassVar[bool] = False
    reads_reference: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The distance."""
        return (float("nan") if output.kl_nats is None else output.kl_nats,)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Mean of the rows."""
        return float(stats_nk.mean())
