"""Biases: each layer's are multiplied by one number, from none of them to more.

Source: for what biases alone can do: Ben Zaken, Goldberg, Ravfogel (2022), "BitFit", https://arxiv.org/abs/2106.10199 (by gradients).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from tunesmith.adjust._vectors import EVERYTHING, by_layer, multiplied, per_layer
from tunesmith.core.adjusting import Array, Knob, Subject
from tunesmith.core.errors import MethodError

__all__ = ["Biases"]


@dataclass(frozen=True, kw_only=True)
class Biases:
    """Multiply each layer's biases by a number."""

    most: float = 2.0
    """The largest number that is tried; the least is 2 - `most`."""

    moves: ClassVar[frozenset[str]] = EVERYTHING

    def __post_init__(self) -> None:
        """Raises: MethodError, where the range holds nothing but 1."""
        if not self.most > 1:
            raise MethodError(f"method.adjust: biases.most: {self.most:g}: expected a number above 1.")

    def refusal(self, subject: Subject) -> str:
        """Llama-style models have no bias."""
        return "" if self.touches(subject.trunk) else f"{subject.model} has no bias. Use norms"

    def knobs(self, subject: Subject, scores_nk: Array | None) -> list[Knob]:
        """One a layer."""
        return per_layer(subject.trunk, self.touches(subject.trunk), 2 - self.most, self.most, is_log=False)

    def touches(self, trunk: nn.Module) -> list[str]:
        """Every bias, those of norms too."""
        return [name for name, _ in trunk.named_parameters() if name.rpartition(".")[2] == "bias"]

    def changed(self, trunk: nn.Module, values: Sequence[float], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The biases, multiplied."""
        return multiplied(trunk, self.touches(trunk), values, own)

    def save(self, trunk: nn.Module, values: Sequence[float], folder: Path, metadata: Mapping[str, str]) -> list[str]:
        """The biases are as small as anything that says what became of them."""
        return []

    def shown(self, subject: Subject, values: Sequence[float]) -> list[str]:
        """Each layer's number."""
        return [
            f"biases of {where} × {value:.3f}"
            for (where, _), value in zip(by_layer(subject.trunk, self.touches(subject.trunk)), values, strict=True)
        ]
