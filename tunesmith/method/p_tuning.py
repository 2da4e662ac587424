"""P-tuning: as prompt tuning, but a small network makes the learned vectors while they train.

    p_i = W_3 relu(W_2 relu(W_1 h_i + b_1) + b_2) + b_3        h: V x E        or        p_i = mlp(lstm(h)_i)

The network ties the vectors to each other, which makes them train more steadily than free ones. It is left behind when training ends: what is
saved is V x E, as with prompt tuning.

Source: Liu et al. (2021), "GPT Understands, Too", https://arxiv.org/abs/2103.10385.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from peft import PromptEncoder, PromptEncoderConfig
from torch import nn

from tunesmith.core.types import BasePrecision, ParamGroup
from tunesmith.method._new_rows import refuse_new_tokens
from tunesmith.method._virtual import LearnedTokens, check_counts, embedding_of, load_vectors, save_vectors, shape_options

__all__ = ["PTuning"]


@dataclass(frozen=True, kw_only=True)
class PTuning:
    """Train a network that makes vectors to stand before every text."""

    num_virtual_tokens: int = 20
    """How many vectors."""
    encoder_reparameterization_type: Literal["MLP", "LSTM"] = "MLP"
    """The network: three linear layers, or a bidirectional LSTM and two."""
    encoder_hidden_size: int | None = None
    """Width of the network; none: the embedding's."""
    encoder_num_layers: int = 2
    """Layers of the LSTM; the MLP has three always."""

    mergeable: ClassVar[bool] = False
    starts_at_base: ClassVar[bool] = False
    base_precision: ClassVar[BasePrecision] = "exact"
    learning_rate: ClassVar[float] = 1e-3

    def __post_init__(self) -> None:
        """Raises: MethodError, for an option out of its range."""
        check_counts(
            num_virtual_tokens=self.num_virtual_tokens,
            encoder_hidden_size=self.encoder_hidden_size,
            encoder_num_layers=self.encoder_num_layers,
        )

    @property
    def virtual_tokens(self) -> int:
        """How many stand before every text."""
        return self.num_virtual_tokens

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Freeze `trunk` and put learned tokens before what it reads.

        Returns: one group with the network and what it reads.
        Raises: MethodError, where tokens were added to the model.
        """
        refuse_new_tokens(trunk, "p_tuning")
        trunk.requires_grad_(False)
        config = self._config(trunk)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="for MLP, the argument `encoder_num_layers` is ignored")
            encoder = PromptEncoder(config).to(embedding_of(trunk).weight.device)  # type: ignore[no-untyped-call]
        LearnedTokens.put_on(trunk, encoder, self.num_virtual_tokens)
        return [ParamGroup("p_tuning", list(encoder.parameters()))]

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write the vectors that the network makes, in peft's format."""
        with torch.no_grad():  # as they are made when the model answers: torch's LSTM rounds otherwise where a gradient is to follow
            save_vectors(trunk, LearnedTokens.of(trunk).vectors(), self._config(trunk), folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load vectors that `save`, or peft, wrote; no network makes them any more. Raises: MethodError, where they do not fit."""
        embedding = embedding_of(trunk)
        vectors = load_vectors(trunk, folder, self._config(trunk), (self.num_virtual_tokens, embedding.embedding_dim))
        LearnedTokens.of(trunk).fix(vectors.to(embedding.weight.device))

    def _config(self, trunk: nn.Module) -> Any:
        return PromptEncoderConfig(
            **shape_options(trunk, self.num_virtual_tokens),
            encoder_reparameterization_type=self.encoder_reparameterization_type,
            encoder_hidden_size=self.encoder_hidden_size or embedding_of(trunk).embedding_dim,
            encoder_num_layers=self.encoder_num_layers,
        )
