"""AWD-LSTM: layers of LSTM that are held back in every way: weights, words and states are dropped, states kept small and steady, and two matrices are one.

    penalty of a token = activation_penalty x mean((m h_t)^2) + temporal_penalty x mean((h_t - h_(t-1))^2)        m: the last layer's dropout

Its own optimizer is `train.optimizer: nt_asgd`. Defaults of the dropouts are those that ULMFiT pretrains with; its sizes are 400, 1150 and 3 layers.

Source: Merity, Keskar, Socher (2018), "Regularizing and Optimizing LSTM Language Models", https://arxiv.org/abs/1708.02182.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tunesmith.core.errors import ModelError
from tunesmith.core.types import Example
from tunesmith.model.architectures._recurrent import check_sizes, write_config

__all__ = ["AwdLstm"]

_DROPOUTS = ("embedding_dropout", "input_dropout", "layer_dropout", "output_dropout", "weight_dropout")


@dataclass(frozen=True, kw_only=True)
class AwdLstm:
    """Sizes, dropouts and penalties of a network."""

    embedding_size: int = 200
    """Numbers that stand for a token, and that the last layer says of it."""
    hidden_size: int = 400
    """Numbers that a layer below the last remembers."""
    num_layers: int = 3
    """Layers, one above the other."""
    embedding_dropout: float = 0.05
    """Share of the words that are dropped, wherever they stand in a batch."""
    input_dropout: float = 0.4
    """Share of the embedding's numbers that are dropped, the same ones in all tokens of a row; so with those of the layers."""
    layer_dropout: float = 0.3
    """The same of what a layer below the last says."""
    output_dropout: float = 0.4
    """The same of what the last layer says."""
    weight_dropout: float = 0.5
    """Share of the hidden-to-hidden weights that are dropped for a pass."""
    dropout_scale: float = 1.0
    """All dropouts times this: less for a small network."""
    activation_penalty: float = 2.0
    """alpha: how much large states cost."""
    temporal_penalty: float = 1.0
    """beta: how much states cost that change from token to token."""
    tied: bool = True
    """Let the vocabulary head use the embedding's matrix."""

    reads_text: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raises: ModelError, for an option out of its range."""
        check_sizes(self, _DROPOUTS)
        for name in ("activation_penalty", "temporal_penalty"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ModelError(f"model.{name}: expected 0 or more, found {getattr(self, name):g}.")
        largest = max(getattr(self, name) for name in _DROPOUTS)
        if not 0 <= self.dropout_scale * largest < 1:
            raise ModelError(
                f"model.dropout_scale: expected 0 or more, so that no share reaches 1, found {self.dropout_scale:g} of {largest:g}."
            )

    def write(self, examples: Sequence[Example], folder: Path) -> None:
        """The network's settings, for the tokenizer that lies in the folder."""
        write_config(
            folder,
            cell="lstm",
            embedding_size=self.embedding_size,
            inner_size=self.hidden_size,
            hidden_size=self.embedding_size,
            num_hidden_layers=self.num_layers,
            locked=True,
            activation_penalty=self.activation_penalty,
            temporal_penalty=self.temporal_penalty,
            tie_word_embeddings=self.tied,
            **{name: getattr(self, name) * self.dropout_scale for name in _DROPOUTS},
        )
