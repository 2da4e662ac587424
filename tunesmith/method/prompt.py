"""Prompt tuning: learned vectors stand before every text, as if they were tokens of it.

    [p_1; ...; p_V; e(x_1); ...; e(x_n)]        p: V x E, trained        e: the model's embedding, E wide

Nothing in the model changes. V x E trained parameters.

Source: Lester, Al-Rfou, Constant (2021), "The Power of Scale for Parameter-Efficient Prompt Tuning", https://arxiv.org/abs/2104.08691.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from peft import PromptTuningConfig
from torch import Tensor, nn

from tunesmith.core.types import BasePrecision, ParamGroup
from tunesmith.method._new_rows import refuse_new_tokens
from tunesmith.method._virtual import LearnedTokens, check_counts, embedding_of, load_vectors, save_vectors, shape_options, text_ids

__all__ = ["Prompt"]


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Train vectors that stand before every text."""

    num_virtual_tokens: int = 20
    """How many."""
    init_text: str | None = None
    """A text whose tokens they begin as, repeated or cut to their number; none: tokens of the vocabulary, drawn at random."""

    mergeable: ClassVar[bool] = False
    starts_at_base: ClassVar[bool] = False
    base_precision: ClassVar[BasePrecision] = "exact"
    learning_rate: ClassVar[float] = 1e-2

    def __post_init__(self) -> None:
        """Raises: MethodError, for an option out of its range."""
        check_counts(num_virtual_tokens=self.num_virtual_tokens)

    @property
    def virtual_tokens(self) -> int:
        """How many stand before every text."""
        return self.num_virtual_tokens

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Freeze `trunk` and put learned tokens before what it reads.

        Returns: one group with their vectors, never decayed.
        Raises: MethodError, where tokens were added to the model, or it has no tokenizer to read `init_text` with.
        """
        refuse_new_tokens(trunk, "prompt")
        trunk.requires_grad_(False)
        embedding = embedding_of(trunk)
        encoder = nn.Embedding(self.num_virtual_tokens, embedding.embedding_dim, device=embedding.weight.device)
        encoder.weight = nn.Parameter(embedding.weight.detach()[self._first_ids(trunk, embedding)].float())
        LearnedTokens.put_on(trunk, encoder, self.num_virtual_tokens)
        return [ParamGroup("prompt", [encoder.weight], weight_decay=0.0)]

    def _first_ids(self, trunk: nn.Module, embedding: nn.Embedding) -> Tensor:
        if self.init_text is None:
            return torch.randint(embedding.num_embeddings, (self.num_virtual_tokens,))
        ids = text_ids(trunk, self.init_text, "init_text")
        return torch.tensor((ids * -(-self.num_virtual_tokens // len(ids)))[: self.num_virtual_tokens])

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write the vectors in peft's format."""
        save_vectors(trunk, LearnedTokens.of(trunk).vectors(), self._config(trunk), folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load vectors that `save`, or peft, wrote. Raises: MethodError, where they do not fit."""
        learned = LearnedTokens.of(trunk)
        vectors = load_vectors(trunk, folder, self._config(trunk), (self.num_virtual_tokens, embedding_of(trunk).embedding_dim))
        with torch.no_grad():
            next(learned.encoder.parameters()).copy_(vectors)

    def _config(self, trunk: nn.Module) -> Any:
        return PromptTuningConfig(**shape_options(trunk, self.num_virtual_tokens))
