"""Bottleneck adapters: small networks of two layers put into every layer of the model.

    A(x) = W_up f(W_down x + b_down) + b_up        W_down: m x H        W_up: H x m, zero at the start        m: bottleneck_size

    houlsby    h <- h + A(h)              on the output h of the attention and of the feed-forward block, before it is added to what they read
    pfeiffer   s <- s + A(norm(s))        on s, the feed-forward block's output added to what it reads; norm where the model normalizes s there
    parallel   h <- h + scaling A(x)      beside the feed-forward block, which reads x and makes h

An adapter has 2 m H + m + H parameters; a layer has one, with houlsby two.

Source: Houlsby et al. (2019), "Parameter-Efficient Transfer Learning for NLP", https://arxiv.org/abs/1902.00751; Pfeiffer et al. (2021),
"AdapterFusion", https://arxiv.org/abs/2005.00247; He et al. (2022), "Towards a Unified View of Parameter-Efficient Transfer Learning",
https://arxiv.org/abs/2110.04366.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from tunesmith.core.errors import MethodError
from tunesmith.core.types import BasePrecision, ParamGroup
from tunesmith.method._blocks import Block, blocks, closing_norms, hidden_width
from tunesmith.method._new_rows import refuse_new_tokens
from tunesmith.method._selected import load_own, save_selected

__all__ = ["Adapter"]

_NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "gelu": nn.functional.gelu, "tanh": torch.tanh}


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """Train small networks inside every layer."""

    placement: Literal["houlsby", "pfeiffer", "parallel"] = "pfeiffer"
    """Where they stand: after the attention and the feed-forward block, after the feed-forward block alone, or beside it."""
    bottleneck_size: int | None = None
    """Numbers between their two layers; none: a twelfth of the model's width, as 64 of 768."""
    nonlinearity: Literal["relu", "gelu", "tanh"] = "relu"
    """What stands between their two layers."""
    scaling: float = 4.0
    """Of what a parallel adapter adds; others add theirs as it is."""

    virtual_tokens: ClassVar[int] = 0
    mergeable: ClassVar[bool] = False
    starts_at_base: ClassVar[bool] = True
    base_precision: ClassVar[BasePrecision] = "exact"
    learning_rate: ClassVar[float] = 1e-3

    def __post_init__(self) -> None:
        """Raises: MethodError, for an option out of its range."""
        for name, value, holds, expected in (
            ("bottleneck_size", self.bottleneck_size, self.bottleneck_size is None or self.bottleneck_size >= 1, "at least 1"),
            ("scaling", self.scaling, self.scaling > 0, "more than 0"),
        ):
            if not holds:
                raise MethodError(f"method.{name}: expected {expected}, found {value}.")

    def apply(self, trunk: nn.Module) -> list[ParamGroup]:
        """Freeze `trunk` and put adapters into it.

        Returns: one group with all of them.
        Raises: MethodError, where the model is built in no known way, or tokens were added to it.
        """
        refuse_new_tokens(trunk, "adapter")
        found = blocks(trunk, "adapter")
        trunk.requires_grad_(False)
        width = hidden_width(trunk)
        if self.bottleneck_size is not None and self.bottleneck_size > width:
            raise MethodError(f"method.bottleneck_size: {self.bottleneck_size} is more than the model is wide ({width}). Take less.")
        put = {"houlsby": self._houlsby, "pfeiffer": self._pfeiffer, "parallel": self._parallel}[self.placement]
        put(trunk, found, width)
        return [ParamGroup("adapter", [p for p in trunk.parameters() if p.requires_grad])]

    def _houlsby(self, trunk: nn.Module, found: list[Block], width: int) -> None:
        for block in found:
            for name in (*block.attention_outs, block.feed_forward_out):
                self._put_on(trunk, name, width)._after_output()

    def _pfeiffer(self, trunk: nn.Module, found: list[Block], width: int) -> None:
        norms = closing_norms(trunk, found)
        for block in found:
            norm = norms.get(block.layer)
            if norm is not None:
                self._put_on(trunk, norm, width)._around_norm()
            else:
                self._put_on(trunk, block.layer, width)._after_output()

    def _parallel(self, trunk: nn.Module, found: list[Block], width: int) -> None:
        for block in found:
            adapter = self._put_on(trunk, block.feed_forward_out, width, self.scaling)
            adapter._beside(trunk.get_submodule(block.feed_forward_ins[0]))

    def _put_on(self, trunk: nn.Module, name: str, width: int, scaling: float = 1.0) -> "_Bottleneck":
        module, device = trunk.get_submodule(name), next(trunk.parameters()).device  # a quantized layer may have no parameters
        size = self.bottleneck_size or max(1, width // 12)
        adapter = _Bottleneck(module, width, size, _NONLINEARITIES[self.nonlinearity], scaling).to(device)
        module.adapter = adapter
        return adapter

    def save(self, trunk: nn.Module, folder: Path) -> None:
        """Write the adapters by their names in the model, as safetensors."""
        save_selected(trunk, folder)

    def load(self, trunk: nn.Module, folder: Path) -> None:
        """Load adapters that `save` wrote. Raises: MethodError, where they are missing, or do not fit."""
        load_own(trunk, folder)


class _Bottleneck(nn.Module):
    """One adapter, and the hooks by which the module that it belongs to calls it."""

    def __init__(self, owner: nn.Module, width: int, size: int, nonlinearity: Callable[[Tensor], Tensor], scaling: float) -> None:
        super().__init__()
        self.down = nn.Linear(width, size)
        self.up = nn.Linear(size, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self._nonlinearity = nonlinearity
        self._scaling = scaling
        self._owner = (owner,)  # in a tuple: it holds this module already
        self._read: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """A(x), times the scaling, in the numbers of x."""
        added: Tensor = self.up(self._nonlinearity(self.down(x.to(self.down.weight.dtype)))) * self._scaling
        return added.to(x.dtype)

    def _after_output(self) -> None:
        """h + A(h), of what the owner makes."""
        self._owner[0].register_forward_hook(self._add_own)

    def _around_norm(self) -> None:
        """norm(s + A(norm(s))), of the norm that is the owner and reads s."""
        self._owner[0].register_forward_hook(self._add_before_norm)

    def _beside(self, first: nn.Module) -> None:
        """h + A(x), of what the owner makes and what `first` reads before."""
        first.register_forward_pre_hook(self._keep)
        self._owner[0].register_forward_hook(self._add_kept)

    def _add_own(self, _module: nn.Module, _arguments: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0] + self(output[0]), *output[1:])
        added: Tensor = output + self(output)
        return added

    def _add_before_norm(self, norm: nn.Module, arguments: Any, output: Tensor) -> Tensor:
        return norm.forward(arguments[0] + self(output))  # type: ignore[no-any-return]

    def _keep(self, _module: nn.Module, arguments: Any) -> None:
        self._read = arguments[0]

    def _add_kept(self, _module: nn.Module, _arguments: Any, output: Tensor) -> Tensor:
        read, self._read = self._read, None
        assert read is not None
        added: Tensor = output + self(read)
        return added
