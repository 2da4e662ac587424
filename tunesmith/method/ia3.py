"""IA3: learned vectors scale keys, values and the inner activations of feed-forward blocks.

    k = l_k * (W_k x)        v = l_v * (W_v x)        y = W_2 (l_ff * f(W_1 x))        * by element; every l begins as ones

A layer adds as many trained parameters as keys, values and inner activations have numbers. Where one matrix makes queries, keys and values
together (GPT-2, Bloom), all of its outputs are scaled.

Source: Liu et al. (2022), "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning",
https://arxiv.org/abs/2205.05638, section 3.3.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from peft import IA3Config
from torch import nn

from tunesmith.core.types import BasePrecision, ParamGroup
from tunesmith.method._blocks import blocks, short_names
from tunesmith.method._new_rows import refuse_new_tokens
from tunesmith.method._peft import inject, load_adapter, save_adapter

__all__ = ["IA3"]


@dataclass(frozen=True, kw_only=True)
class IA3:
    """Train vectors that scale what attention and feed-forward blocks pass on."""

    target_modules: list[str] | None = None
    """Names of the linear layers that are scaled; none: those that make keys and values, and the last of each feed-forward block."""
    feedforward_modules: list[str] | None = None
    """Those of them whose inputs are scaled, not their outputs; none: the last of each feed-forward block."""

    virtual_tokens: ClassVar[int] = 0
    mergeable: ClassVar[bool] = True
    starts_at_base: ClassVar[bool] = True
    base_precision: ClassVar[BasePrecision] = "exact"
    learning_rate: ClassVar[float] = 1e-2

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Put the vectors into `trunk`, through peft.

        Returns: one group with all of them, never decayed: their rest is at one.
        Raises: MethodError, where no layer has one of the names, or tokens were added to the model.
        """
        refuse_new_tokens(trunk, "ia3")
        targets, inner = self.target_modules, self.feedforward_modules
        if targets is None or inner is None:
            found = blocks(trunk, "ia3")
            ends = [block.feed_forward_out for block in found]
            inner = short_names(trunk, ends) if inner is None else inner
            targets = short_names(trunk, [*(name for block in found for name in block.keys_values), *ends]) if targets is None else targets
        config = IA3Config(
            target_modules=targets,
            feedforward_modules=[name for name in inner if name in targets],
            base_model_name_or_path=getattr(trunk, "name_or_path", None),
        )
        return [ParamGroup(group.name, group.params, weight_decay=0.0) for group in inject(trunk, config, "ia3")]

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write the vectors in peft's format."""
        save_adapter(trunk, folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load vectors that `save`, or peft, wrote. Raises: MethodError, where they do not fit."""
        load_adapter(trunk, folder)
