"""LoRA: train a low-rank change of the model's linear layers.

A frozen weight W (out x in) acts as W + (lora_alpha / r) B A, with A (r x in) drawn at random and B (out x r) zero, so that training starts at
the base model. A layer adds r (in + out) trained parameters.

    use_rslora    W + (lora_alpha / sqrt(r)) B A
    use_dora      m * V / |V|      V = W + (lora_alpha / r) B A, its length |V| taken row by row and held constant in the backward pass;
                                   m (out), trained too, begins as |W|, so that training starts at the base model to rounding

Source: Hu et al. (2021), "LoRA: Low-Rank Adaptation of Large Language Models", https://arxiv.org/abs/2106.09685;
Kalajdzievski (2023), "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA", https://arxiv.org/abs/2312.03732, for `use_rslora`;
Liu et al. (2024), "DoRA: Weight-Decomposed Low-Rank Adaptation", https://arxiv.org/abs/2402.09353, equations 5 and 11, for `use_dora`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from peft import LoraConfig
from torch import nn

from tunesmith.core.errors import MethodError
from tunesmith.core.types import ParamGroup
from tunesmith.method._named import (
    ALL_LINEAR,
    check_names,
    check_patterns,
    check_ranks,
    is_named,
    linear_layers_below_head,
    refuse_without_linear,
    tied_to_save,
)
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
    """Names of the layers to change, a regular expression over full names, or `all-linear`: every linear layer but the vocabulary head, vectors, and, where
    `r` is the default, layers of which a side is smaller."""
    use_rslora: bool = False
    """Divide the scale by the root of r instead of r: the change keeps its size as the rank grows."""
    use_dora: bool = False
    """Train the length of each row of a weight apart from its direction. Slower: it runs through peft's own layers."""
    rank_pattern: Mapping[str, int] | None = None
    """Ranks of single layers: a name, the end of one, or a regular expression for it -> its rank in place of `r`."""
    alpha_pattern: Mapping[str, float] | None = None
    """Scales of single layers, likewise, in place of `lora_alpha`."""
    modules_to_save: list[str] | None = None
    """Names, or ends of them, of modules that are trained whole beside the adapter and saved with it."""
    base_precision: Literal["exact", "int8"] = "exact"
    """Numbers that products with frozen weights are made in: `exact`, the model's own, or `int8`: faster and smaller, each product off by about
    1%. On the CPU only."""

    virtual_tokens: ClassVar[int] = 0
    mergeable: ClassVar[bool] = True
    starts_at_base: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 2e-4

    def __post_init__(self) -> None:
        """Raises: MethodError, for an option out of its range."""
        for name, value, holds, expected in (
            ("r", self.r, self.r >= 1, "at least 1"),
            ("lora_alpha", self.lora_alpha, self.lora_alpha > 0, "more than 0"),
            ("lora_dropout", self.lora_dropout, 0 <= self.lora_dropout < 1, "at least 0 and less than 1"),
        ):
            if not holds:
                raise MethodError(f"method.{name}: expected {expected}, found {value}.")
        for name, rank in (self.rank_pattern or {}).items():
            if rank < 1:
                raise MethodError(f"method.rank_pattern: {name}: expected a rank of at least 1, found {rank}.")
        for name, alpha in (self.alpha_pattern or {}).items():
            if alpha <= 0:
                raise MethodError(f"method.alpha_pattern: {name}: expected more than 0, found {alpha}.")
        if self.use_dora and self.base_precision == "int8":
            raise MethodError("method.use_dora: reads the base's weights themselves, which base_precision: int8 does not keep. Use exact.")

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Put adapters into `trunk`, through peft.

        Returns: one group with what trains of the adapter, and one with the rows of tokens that were added to the model.
        Raises: MethodError, where a name fits no layer, or a rank is above a layer's size.
        """
        if self.target_modules == ALL_LINEAR:
            refuse_without_linear(trunk, "lora")
        check_names(trunk, "target_modules", self.target_modules)
        narrow = self._too_narrow(trunk)
        trunk.without_adapter = tuple(path for path, side in narrow.items() if side > 1)  # type: ignore[assignment]  # for whoever tells
        check_names(trunk, "modules_to_save", self.modules_to_save or [])
        config = LoraConfig(
            r=self.r,
            lora_alpha=self.lora_alpha,  # type: ignore[arg-type]  # peft takes fractions too
            lora_dropout=self.lora_dropout,
            target_modules=sorted(linear_layers_below_head(trunk).keys() - narrow.keys()) if narrow else self.target_modules,
            use_rslora=self.use_rslora,
            use_dora=self.use_dora,
            rank_pattern=dict(self.rank_pattern or {}),
            alpha_pattern=dict(self.alpha_pattern or {}),
            modules_to_save=list(self.modules_to_save) if self.modules_to_save else None,  # peft changes its own
            ensure_weight_tying=tied_to_save(trunk, self.modules_to_save or []),
            base_model_name_or_path=getattr(trunk, "name_or_path", None),
            task_type="CAUSAL_LM" if hasattr(trunk, "lm_head") and not trunk.config.is_encoder_decoder else None,  # type: ignore[union-attr]
        )
        groups = inject(trunk, config, "lora")
        check_patterns(trunk, "rank_pattern", self.rank_pattern or {})
        check_patterns(trunk, "alpha_pattern", self.alpha_pattern or {})
        check_ranks(trunk)
        return [*groups, *train_rows(trunk)]

    def _too_narrow(self, trunk: nn.Module) -> dict[str, int]:
        """Of all linear layers, with the smaller side of each, those that have no room for the rank, unless it was chosen; a vector (one output, or input) has none for any but its own.

        None where that is all of them: then it is said what rank there is room for.
        """
        if self.target_modules != ALL_LINEAR:
            return {}
        layers = linear_layers_below_head(trunk)
        least = self.r if self.r == LoRA.r else 2
        narrow = {path: side for path, side in layers.items() if side < least and not is_named(path, self.rank_pattern or {})}
        return narrow if len(narrow) < len(layers) else {}

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write the adapter in peft's format, and beside it the rows of added tokens."""
        save_adapter(trunk, folder)
        save_rows(trunk, folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load an adapter that `save`, or peft, wrote."""
        load_adapter(trunk, folder)
        load_rows(trunk, folder)
