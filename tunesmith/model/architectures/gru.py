"""Gated recurrent units: two gates, and no cell beside what is told.

Source: Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder", https://arxiv.org/abs/1406.1078.
"""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.model.architectures._recurrent import Stacked

__all__ = ["Gru"]


@dataclass(frozen=True, kw_only=True)
class Gru(Stacked):
    """Sizes of a network."""

    embedding_size: int = 128
    """Numbers that stand for a token."""
    hidden_size: int = 256
    """Numbers that a layer remembers; of tied layers, the last one has `embedding_size`."""
    num_layers: int = 1
    """Layers, one above the other."""
    dropout: float = 0.0
    """Share of what each layer reads and of what the last one says that is dropped in training."""
    tied: bool = False
    """Let the vocabulary head use the embedding's matrix."""

    cell: ClassVar[str] = "gru"
