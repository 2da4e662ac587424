"""Gains of the norms: each layer's are multiplied by one number, which turns what the layer hears up or down.

Source: for what gains alone can do: Zhao et al. (2024), "Tuning LayerNorm in Attention", https://arxiv.org/abs/2312.11420 (by gradients).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from tunesmith.adjust._vectors import VectorsOfLayers
from tunesmith.core.adjusting import Subject

__all__ = ["Norms"]


@dataclass(frozen=True, kw_only=True)
class Norms(VectorsOfLayers):
    """Multiply each layer's gains by a number."""

    most: float = 2.0
    """The largest number that is tried; the least is one divided by it."""

    name: ClassVar[str] = "norms"
    is_log: ClassVar[bool] = True

    def refusal(self, subject: Subject) -> str:
        """A model without norms has nothing to turn."""
        return "" if self.touches(subject.trunk) else f"{subject.model} has no norm with gains"

    def touches(self, trunk: nn.Module) -> list[str]:
        """The gains: what the modules whose class is called a norm have as their weight."""
        return [
            f"{path}.weight"
            for path, module in trunk.named_modules()
            if "norm" in type(module).__name__.lower() and isinstance(module._parameters.get("weight"), nn.Parameter)
        ]
