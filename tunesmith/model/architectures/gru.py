"""Gated recurrent units: two gates, and no cell beside what is told.

Source: Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder", https://arxiv.org/abs/1406.1078.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tunesmith.core.types import Example
from tunesmith.model.architectures._recurrent import check_sizes, write_config

__all__ = ["Gru"]


@dataclass(frozen=True, kw_only=True)
class Gru:
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

    reads_text: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raises: ModelError, for an option out of its range."""
        check_sizes(self, ("embedding_size", "hidden_size", "num_layers"), ("dropout",))

    def write(self, examples: Sequence[Example], folder: Path) -> None:
        """The network's settings, for the tokenizer that lies in the folder."""
        write_config(
            folder,
            cell="gru",
            embedding_size=self.embedding_size,
            inner_size=self.hidden_size,
            hidden_size=self.embedding_size if self.tied else self.hidden_size,
            num_hidden_layers=self.num_layers,
            input_dropout=self.dropout,
            layer_dropout=self.dropout,
            output_dropout=self.dropout,
            tie_word_embeddings=self.tied,
        )
