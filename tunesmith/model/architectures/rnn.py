"""The simple recurrent network of Elman: what it remembers is tanh of what it reads and remembered.

Source: Elman (1990), "Finding Structure in Time", https://doi.org/10.1207/s15516709cog1402_1; Mikolov et al. (2010) for language models.
"""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.model.architectures._recurrent import Stacked

__all__ = ["Rnn"]


@dataclass(frozen=True, kw_only=True)
class Rnn(Stacked):
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

    cell: ClassVar[str] = "rnn"
