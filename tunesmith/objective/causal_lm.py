"""Causal language modelling: continued pretraining on raw text.

loss = - sum over all tokens t of log p(x_t | x_<t).

Source: Gururangan et al. (2020), "Don't Stop Pretraining", https://arxiv.org/abs/2004.10964.
"""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.core.types import Encoder, Example, Row, Text, Tokens
from tunesmith.objective._language_model import LanguageModelLoss
from tunesmith.objective._targets import scored_row

__all__ = ["CausalLM"]


@dataclass(frozen=True, kw_only=True)
class CausalLM(LanguageModelLoss):
    """Learn every token of raw text, or those that are marked."""

    accepts: ClassVar[tuple[type, ...]] = (Text, Tokens)
    fills: ClassVar[frozenset[str]] = frozenset({"nll"})
    headline: ClassVar[str] = "perplexity"

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """One row for every window of the model's length, so that no text is cut off."""
        assert isinstance(example, Text | Tokens)
        rows = (scored_row(window, example.origin) for window in encoder.windows(example))
        return [row for row in rows if row]
