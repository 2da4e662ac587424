"""New tokens: train only the embedding rows of the tokens that `model.add_tokens` added.

Every other weight stays bit-identical, so that texts without an added token are read as they were. (Where the embedding is the vocabulary head too, or a head has
rows of its own for them, the added tokens also take part in what may come next.)

Source: Artetxe, Ruder, Yogatama (2020), "On the Cross-lingual Transferability of Monolingual Representations", https://arxiv.org/abs/1910.11856,
who learn a new language's token embeddings under a frozen model; here the old tokens' rows are frozen too.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import nn

from tunesmith.core.errors import MethodError
from tunesmith.core.types import BasePrecision, ParamGroup
from tunesmith.method._new_rows import load_rows, save_rows, train_rows

__all__ = ["NewTokens"]


@dataclass(frozen=True, kw_only=True)
class NewTokens:
    """Train the rows of the added tokens, freeze the rest."""

    virtual_tokens: ClassVar[int] = 0
    mergeable: ClassVar[bool] = True
    starts_at_base: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 1e-3
    base_precision: ClassVar[BasePrecision] = "exact"

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Freeze `trunk` but for those rows.

        Returns: one group with the matrices that hold them.
        Raises: MethodError, where no token was added: nothing would train.
        """
        trunk.requires_grad_(False)
        groups = train_rows(trunk)
        if not groups:
            raise MethodError("method: new_tokens trains the rows of added tokens, and none were added. Set model.add_tokens, or use lora.")
        return groups

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write the rows."""
        save_rows(trunk, folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load the rows that `save` wrote. Raises: MethodError, where they do not fit."""
        load_rows(trunk, folder)
