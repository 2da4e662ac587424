"""Perplexity: exp of the mean negative log-likelihood of a token of the reference.

1 is certainty; lower is better. Models with different tokenizers are not comparable by it: bits per byte is.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["Perplexity"]


@dataclass(frozen=True, kw_only=True)
class Perplexity:
    """exp(nats / tokens), over all scored tokens."""

    needs: ClassVar[Literal["label", "text", "nll"]] = "nll"
    higher_is_better: ClassVar[bool] = False
    is_proportion: ClassVar[bool] = False
    is_per_token: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Nats and tokens of the reference."""
        return output.nll_nats, float(output.num_tokens)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """NaN where no token was scored."""
        nats, tokens = stats_nk.sum(axis=0)
        with np.errstate(over="ignore"):  # infinite beyond 709 nats a token
            return float(np.exp(nats / tokens)) if tokens > 0 else float("nan")
