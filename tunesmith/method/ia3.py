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

from tunesmith.core.errors import MethodError
from tunesmith.core.types import BasePrecision, ParamGroup
from tunesmith.method._blocks import blocks, short_names
from tunesmith.method._named import check_names, modules_named
from tunesmith.method._new_rows import refuse_new_tokens
from tunesmith.method._peft import inject, load_adapter, save_adapter

__all__ = ["IA3"]


@dataclass(frozen=True, kw_only=True)
class IA3:
    """Train vectors that scale what attention and feed-forward blocks pass on."""

    target_modules: list[str] | None = None
    """Names, or ends of names, of the linear layers that are scaled; none: those that make keys and values, and the last of each feed-forward block."""
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
        Raises: MethodError, where no layer has one of the names, one of `feedforward_modules` is not scaled, or tokens were added to the model.
        """
        refuse_new_tokens(trunk, "ia3")
        scaled, inner = self._scaled(trunk)
        targets, ends = short_names(trunk, scaled), short_names(trunk, inner)
        # peft takes a name for that of a feed-forward layer by its last letters, and only where it stands among the targets
        if not set(ends) <= set(targets) or {name for name in scaled if name.endswith(tuple(ends))} != set(inner):
            targets, ends = scaled, inner
        config = IA3Config(target_modules=targets, feedforward_modules=ends, base_model_name_or_path=getattr(trunk, "name_or_path", None))
        return [ParamGroup(group.name, group.params, weight_decay=0.0) for group in inject(trunk, config, "ia3")]

    def _scaled(self, trunk: nn.Module) -> tuple[list[str], list[str]]:
        """Full names of the layers that are scaled, and of those of them whose inputs are."""
        targets, feedforward = self.target_modules, self.feedforward_modules
        check_names(trunk, "target_modules", targets or [])
        check_names(trunk, "feedforward_modules", feedforward or [])
        found = blocks(trunk, "ia3") if targets is None or feedforward is None else []
        ends = [block.feed_forward_out for block in found]
        scaled = [*(name for block in found for name in block.keys_values), *ends] if targets is None else modules_named(trunk, targets)
        unscaled = [name for name in feedforward or [] if not set(modules_named(trunk, [name])) & set(scaled)]
        if unscaled:
            raise MethodError(
                f"method.feedforward_modules: {', '.join(unscaled)}: not among the layers that are scaled. Name it in method.target_modules too."
            )
        inner = ends if feedforward is None else modules_named(trunk, feedforward)
        return scaled, [name for name in inner if name in scaled]

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write the vectors in peft's format."""
        save_adapter(trunk, folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load vectors that `save`, or peft, wrote. Raises: MethodError, where they do not fit."""
        load_adapter(trunk, folder)
