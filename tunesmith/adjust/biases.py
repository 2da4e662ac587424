"""Biases: each layer's are multiplied by one number, from none of them to more.

Source: for what biases alone can do: Ben Zaken, Goldberg, Ravfogel (2022), "BitFit", https://arxiv.org/abs/2106.10199 (by gradients).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from tunesmith.adjust._vectors import VectorsOfLayers
from tunesmith.core.adjusting import Subject
from tunesmith.core.layers import vocabulary_head_alone

__all__ = ["Biases"]


@dataclass(frozen=True, kw_only=True)
class Biases(VectorsOfLayers):
    """Multiply each layer's biases by a number."""

    most: float = 2.0
    """The largest number that is tried; the least is 2 - `most`."""

    name: ClassVar[str] = "biases"
    is_log: ClassVar[bool] = False

    def refusal(self, subject: Subject) -> str:
        """Llama-style models have no bias."""
        return "" if self.touches(subject.trunk) else f"{subject.model} has no bias. Use norms"

    def touches(self, trunk: nn.Module) -> list[str]:
        """Every bias, those of norms and both of a recurrent cell too; not that of a vocabulary head that is not read."""
        unread = set[int]() if getattr(trunk, "reads_vocabulary_head", True) else {id(p) for p in vocabulary_head_alone(trunk)}
        return [name for name, p in trunk.named_parameters() if name.rpartition(".")[2].startswith("bias") and id(p) not in unread]
