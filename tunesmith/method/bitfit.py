"""BitFit: train the biases and freeze every matrix.

    h = W x + b        b trains, W stands still; of a norm, h = g * x / |x| + b, its b too

Models without a bias (Llama and many after it) have the gains g of their norms trained in place of them.

Source: Zaken, Goldberg, Ravfogel (2022), "BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models",
https://arxiv.org/abs/2106.10199, section 2; for gains alone: Zhao et al. (2024), "Tuning LayerNorm in Attention", https://arxiv.org/abs/2312.11420.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import nn

from tunesmith.core.errors import MethodError
from tunesmith.core.types import BasePrecision, ParamGroup
from tunesmith.method._new_rows import refuse_new_tokens
from tunesmith.method._selected import load_own, save_selected, train_selected

__all__ = ["BitFit"]


@dataclass(frozen=True, kw_only=True)
class BitFit:
    """Train the biases; the norms' gains where the model has no bias."""

    virtual_tokens: ClassVar[int] = 0
    mergeable: ClassVar[bool] = True
    starts_at_base: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 5e-3
    base_precision: ClassVar[BasePrecision] = "exact"

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Freeze `trunk` but for its biases.

        Returns: one group with every vector that trains, without weight decay.
        Raises: MethodError, where there is none, or tokens were added to the model: they would stay as they began.
        """
        refuse_new_tokens(trunk, "bitfit")
        found = train_selected(trunk, lambda name, _: name.rpartition(".")[2].startswith("bias"))
        found = found or train_selected(trunk, lambda name, parameter: name.rpartition(".")[2] == "weight" and parameter.ndim == 1)
        if not found:
            raise MethodError("method: bitfit trains biases and the gains of norms, and this model has neither. Use lora or full.")
        return [ParamGroup("bitfit", found, weight_decay=0.0)]

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write what trains, by name."""
        save_selected(trunk, folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load what `save` wrote. Raises: MethodError, where it is missing, or does not fit."""
        load_own(trunk, folder)
