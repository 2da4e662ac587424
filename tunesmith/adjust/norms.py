"""Gains of the norms: each layer's are multiplied by one number, which turns what the layer hears up or down.

Source: for what gains alone can do: Zhao et al. (2024), "Tuning LayerNorm in Attention", https://arxiv.org/abs/2312.11420 (by gradients).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from tunesmith.adjust._vectors import EVERYTHING, by_layer, multiplied, per_layer
from tunesmith.core.adjusting import Array, Knob, Subject
from tunesmith.core.errors import MethodError

__all__ = ["Norms"]


@dataclass(frozen=True, kw_only=True)
class Norms:
    """Multiply each layer's gains by a number."""

    most: float = 2.0
    """The largest number that is tried; the least is one divided by it."""

    moves: ClassVar[frozenset[str]] = EVERYTHING

    def __post_init__(self) -> None:
        """Raises: MethodError, where the range holds nothing but 1."""
        if not self.most > 1:
            raise MethodError(f"method.adjust: norms.most: {self.most:g}: expected a number above 1.")

    def refusal(self, subject: Subject) -> str:
        """A model without norms has nothing to turn."""
        return "" if self.touches(subject.trunk) else f"{subject.model} has no norm with gains"

    def knobs(self, subject: Subject, scores_nk: Array | None) -> list[Knob]:
        """One a layer."""
        return per_layer(subject.trunk, self.touches(subject.trunk), 1 / self.most, self.most, is_log=True)

    def touches(self, trunk: nn.Module) -> list[str]:
        """The gains: what the modules whose class is called a norm have as their weight."""
        return [
            f"{path}.weight"
            for path, module in trunk.named_modules()
            if "norm" in type(module).__name__.lower() and isinstance(module._parameters.get("weight"), nn.Parameter)
        ]

    def changed(self, trunk: nn.Module, values: Sequence[float], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The gains, multiplied."""
        return multiplied(trunk, self.touches(trunk), values, own)

    def save(self, trunk: nn.Module, values: Sequence[float], folder: Path, metadata: Mapping[str, str]) -> list[str]:
        """The gains are as small as anything that says what became of them."""
        return []

    def shown(self, subject: Subject, values: Sequence[float]) -> list[str]:
        """Each layer's number."""
        return [
            f"norms of {where} × {value:.3f}"
            for (where, _), value in zip(by_layer(subject.trunk, self.touches(subject.trunk)), values, strict=True)
        ]
