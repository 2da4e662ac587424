"""Masked perplexity: exp of the mean negative log-likelihood of the tokens that a masked language model had to fill in.

1 is certainty; lower is better. Each token is guessed from all others of its window, so that this is no likelihood of the text: there are no bits per byte of it, and it is not
comparable with the perplexity of a model that reads from left to right, nor between tokenizers.
Source: Devlin et al. (2019), "BERT", https://arxiv.org/abs/1810.04805, table 6 (perplexity of held-out masked tokens).
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["MaskedPerplexity"]


@dataclass(frozen=True, kw_only=True)
class MaskedPerplexity:
    """exp(nats / tokens), over all masked tokens."""

    needs: ClassVar[Literal["label", "text", "nll", "masked"]] = "masked"
    higher_is_better: ClassVar[bool] = False
    is_proportion: ClassVar[bool] = False
    is_per_token: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Nats and number of the masked tokens."""
        return output.nll_nats, float(output.num_tokens)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """NaN where no token was masked."""
        nats, tokens = stats_nk.sum(axis=0)
        with np.errstate(over="ignore"):
            return float(np.exp(nats / tokens)) if tokens > 0 else float("nan")
