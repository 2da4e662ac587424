"""A recurrent encoder-decoder with attention: an LSTM reads a source in both directions, another writes the target and looks back at it.

Sources: Bahdanau, Cho, Bengio (2015), "Neural Machine Translation by Jointly Learning to Align and Translate", https://arxiv.org/abs/1409.0473;
Luong, Pham, Manning (2015), "Effective Approaches to Attention-based Neural Machine Translation", https://arxiv.org/abs/1508.04025.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from tunesmith.model.architectures._recurrent import Attending

__all__ = ["Seq2SeqLstm"]


@dataclass(frozen=True, kw_only=True)
class Seq2SeqLstm(Attending):
    """Sizes of a network."""

    embedding_size: int = 128
    """Numbers that stand for a token, of a source or of a target."""
    hidden_size: int = 256
    """Numbers that a layer says of a token; an even number, as the encoder makes half of them in each direction."""
    num_layers: int = 1
    """Layers of the encoder, and of the decoder."""
    dropout: float = 0.2
    """Share of what each layer reads, and of what the vocabulary head reads, that is dropped in training."""
    scoring: Literal["multiplicative", "additive"] = "multiplicative"
    """How a source token is scored: by a product with the decoder's state (Luong), or by a small network of both (Bahdanau)."""

    cell: ClassVar[str] = "lstm"
