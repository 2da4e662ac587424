"""LoRA: train a low-rank change of the model's linear layers.

A frozen weight W (out x in) acts as W + (lora_alpha / r) B A, with A (r x in) drawn at random and B (out x r) zero, so that training starts at
the base model. A layer adds r (in + out) trained parameters.

Source: Hu et al. (2021), "LoRA: Low-Rank Adaptation of Large Language Models", https://arxiv.org/abs/2106.09685.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from peft import LoraConfig
from torch import nn

from tunesmith.core.errors import MethodError
from tunesmith.core.types import ParamGroup
from tunesmith.method._new_rows import load_rows, save_rows, train_rows
from tunesmith.method._peft import inject, load_adapter, save_adapter

__all__ = ["LoRA"]


@dataclass(frozen=True, kw_only=True)
class LoRA:
    """Train a low-rank change of every linear layer, or of those named."""

    r: int = 16
    """Rank of the change."""
    lora_alpha: float = 32.0
    """Scale of the change, divided by r."""
    lora_dropout: float = 0.0
    """Dropout on what the adapters read."""
    target_modules: list[str] | str = "all-linear"
    """Names of the layers to change, a regular expression over full names, or `all-linear`: every linear layer but the vocabulary head."""
    base_precision: Literal["exact", "int8"] = "exact"
    """Numbers that products with frozen weights are made in: `exact`, the model's own, or `int8`: faster and smaller, each product off by about
    1%. On the CPU only."""

    virtual_tokens: ClassVar[int] = 0
    mergeable: ClassVar[bool] = True
    starts_at_base: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raises: MethodError, for an option out of its range."""
        for name, value, holds, expected in (
            ("r", self.r, self.r >= 1, "at least 1"),
            ("lora_alpha", self.lora_alpha, self.lora_alpha > 0, "more than 0"),
            ("lora_dropout", self.lora_dropout, 0 <= self.lora_dropout < 1, "at least 0 and less than 1"),
        ):
            if not holds:
                raise MethodError(f"method.{name}: expected {expected}, found {value}.")

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Put adapters into `trunk`, through peft.

        Returns: one group with every A and B, and one with the rows of tokens that were added to the model.
        Raises: MethodError, where no layer has one of the names.
        """
        config = LoraConfig(
            r=self.r,
            lora_alpha=self.lora_alpha,  # type: ignore[arg-type]  # peft takes fractions too
            lora_dropout=self.lora_dropout,
            target_modules=self.target_modules,
            base_model_name_or_path=getattr(trunk, "name_or_path", None),
            task_type="CAUSAL_LM" if hasattr(trunk, "lm_head") and not trunk.config.is_encoder_decoder else None,  # type: ignore[union-attr]
        )
        return [*inject(trunk, config, "lora"), *train_rows(trunk)]

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write the adapter in peft's format, and beside it the rows of added tokens."""
        save_adapter(trunk, folder)
        save_rows(trunk, folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load an adapter that `save`, or peft, wrote."""
        load_adapter(trunk, folder)
        load_rows(trunk, folder)
