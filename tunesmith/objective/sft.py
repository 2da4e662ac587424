"""Supervised fine-tuning: learn to give the answers in the data.

loss = - sum over the answer's tokens t of log p(y_t | prompt, y_<t), the end-of-turn token included; the prompt is read, never learned.

Source: Ouyang et al. (2022), "Training language models to follow instructions with human feedback", https://arxiv.org/abs/2203.02155, section 3.5.
"""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.core.types import Chat, Choice, Completion, Encoder, Example, Labelled, Marked, Row, Text, Tokens
from tunesmith.objective._language_model import LanguageModelLoss
from tunesmith.objective._targets import scored_row

__all__ = ["SFT"]


@dataclass(frozen=True, kw_only=True)
class SFT(LanguageModelLoss):
    """Learn the assistant's turns, or the target of a pair, the label's name, the right one of several choices, or the tokens or parts that are marked; of documents, every token."""

    accepts: ClassVar[tuple[type, ...]] = (Completion, Chat, Labelled, Choice, Tokens, Marked)
    fills: ClassVar[frozenset[str]] = frozenset({"text", "nll"})
    headline: ClassVar[str] = "rougeL"
    learns_documents: ClassVar[bool] = True

    def encode(self, example: Example, encoder: Encoder) -> list[Row]:
        """One row, or none where cutting left nothing to score; of a document, one for every window of the model's length."""
        if isinstance(example, Text):
            return [row for window in encoder.windows(example) if (row := scored_row(window, example.origin))]
        assert isinstance(example, Completion | Chat | Labelled | Choice | Tokens | Marked)
        row = scored_row(encoder.encode(example), example.origin)
        return [row] if row else []
