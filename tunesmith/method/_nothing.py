"""Nothing trains: what is put into the model's context adapts it alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import nn

from tunesmith.core.types import BasePrecision, ParamGroup

__all__ = ["Nothing"]


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """Stands for a method where a recipe says `method: none`."""

    virtual_tokens: ClassVar[int] = 0
    mergeable: ClassVar[bool] = True
    starts_at_base: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 0.0
    base_precision: ClassVar[BasePrecision] = "exact"

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Freeze `trunk`. Returns: no group."""
        trunk.requires_grad_(False)
        return []

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Nothing changed: nothing to write."""

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Nothing changed: nothing to read."""
