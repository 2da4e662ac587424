"""Head: freeze the whole trunk and train only the new head on top of it.

The oldest form of transfer learning, also called linear probing where the head is a single layer.

Source: Donahue et al. (2014), "DeCAF", https://arxiv.org/abs/1310.1531.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import nn

from tunesmith.core.types import BasePrecision, ParamGroup
from tunesmith.method._new_rows import refuse_new_tokens

__all__ = ["Head"]


@dataclass(frozen=True, kw_only=True)
class Head:
    """Train the objective's new head, nothing below it."""

    virtual_tokens: ClassVar[int] = 0
    mergeable: ClassVar[bool] = True
    starts_at_base: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 1e-2
    base_precision: ClassVar[BasePrecision] = "exact"

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Freeze `trunk`.

        Returns: no group; heads train as groups of their own.
        Raises: MethodError, where tokens were added to the model: they would stay as they began.
        """
        refuse_new_tokens(trunk, "head")
        trunk.requires_grad_(False)
        return []

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Nothing of the trunk changed: nothing to write."""

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Nothing of the trunk changed: nothing to read."""
