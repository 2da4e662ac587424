"""The gated feed-forward part of a layer on the CPU: what comes out of its two products is kept, what is made of them in one pass is not.

    y = (silu(x Wg') * (x Wu')) Wd'        silu(x) = x sigmoid(x)        R rows    I intermediate size

Source: Shazeer (2020), "GLU Variants Improve Transformer", https://arxiv.org/abs/2002.05202.
"""

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.errors import Interrupted
from tunesmith.engine.kernels.again import Again, NumMadeAgain, made_by, remember
from tunesmith.engine.kernels.lora import can_run_again, lets_go_of_what_it_reads
from tunesmith.engine.kernels.native import eager_kernels, kernels
from tunesmith.engine.kernels.replaced import preceded

__all__ = ["run_gates_again", "use_fast_gates"]

_rooms = threading.local()
_NEAR = 1e-4
_Halves = tuple[Tensor, Tensor]
_PROJECTIONS = ("gate_proj", "up_proj", "down_proj")


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, product: Again[Tensor], halves: Again[_Halves] | None, into: Tensor | None) -> Tensor:
        own = kernels()
        assert own is not None
        if halves is None:
            ctx.save_for_backward(gate, up)
        ctx.product, ctx.halves = product, halves
        return own.gated(gate, up, into)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        own = kernels()
        assert own is not None
        gate, up = ctx.saved_tensors if ctx.halves is None else ctx.halves()
        ctx.product.release()
        if ctx.halves is not None:
            ctx.halves.release()
        return *own.gated_backward(grads[0], gate, up), None, None, None


class _Fused:
    """Comes before a model's own class of such layers; only `forward` differs."""

    gate_proj: nn.Module
    up_proj: nn.Module
    down_proj: nn.Module
    runs_again: bool = False
    """Whether the first two products are made a second time in the backward pass, rather than kept."""

    @property
    def num_made_again(self) -> NumMadeAgain:
        """silu(gate), and the product; both halves are counted elsewhere where they are made again too."""
        return NumMadeAgain(gates=2 * int(getattr(self.down_proj, "in_features", 0)))

    def forward(self, x: Tensor) -> Tensor:
        """As the model's own."""
        own = eager_kernels()
        if own is None or not x.is_cpu or x.dtype is not torch.float32 or torch.is_autocast_enabled("cpu"):
            return super().forward(x)  # type: ignore[misc,no-any-return]
        halves = Again(self._halves_of(x)) if self.runs_again and torch.is_grad_enabled() else None
        gate, up = self.gate_proj(x), self.up_proj(x)
        has_room = torch.is_grad_enabled() and lets_go_of_what_it_reads(self.down_proj)
        return self.down_proj(gated(gate, up, halves, _room_like(gate) if has_room else None))  # type: ignore[no-any-return]

    def _halves_of(self, x: Tensor) -> Callable[[], _Halves]:
        """How both halves are made from `x`, which is kept only where it cannot be made again."""
        again, shape = made_by(x), x.shape
        kept = x.detach() if again is None else None

        @torch.no_grad()
        def make() -> _Halves:
            x = kept if again is None else again().view(shape)
            return self.gate_proj(x), self.up_proj(x)

        return make


def gated(gate: Tensor, up: Tensor, halves: Again[_Halves] | None = None, into: Tensor | None = None) -> Tensor:
    """silu(gate) * up, made again where a linear layer would keep it.

    Args:
        halves: how `gate` and `up` are made; None: they are kept.
        into: where it is made in a forward pass; None: a place of its own.
    """
    own = kernels()
    if own is None or not own.can_gate(gate, up):
        return nn.functional.silu(gate) * up
    if not torch.is_grad_enabled():
        return own.gated(gate, up)
    both = gate.detach(), up.detach()
    product = Again(lambda: own.gated(*both)) if halves is None else Again(lambda: own.gated(*halves()))
    return remember(_Gated.apply(gate, up, product, halves, into), product)  # type: ignore[no-untyped-call]


def _room_like(x: Tensor) -> Tensor:
    """A place that each layer uses in turn: one for each would lie between what is kept, and leave holes where nothing of its size is made any more."""
    if getattr(_rooms, "one", None) is None or _rooms.one.numel() < x.numel():
        _rooms.one = x.new_empty(x.numel())
    return _rooms.one[: x.numel()].view(x.shape)  # type: ignore[no-any-return]


def run_gates_again(trunk: nn.Module, *, on: bool) -> int:
    """Whether the gated parts of `trunk` make their first two products a second time in the backward pass, where those come out the same: without dropout, and no hook hears of it.

    Returns: how many such parts there are.
    """
    fused = [layer for layer in trunk.modules() if isinstance(layer, _Fused)]
    layers = [layer for layer in fused if can_run_again(layer.gate_proj) and can_run_again(layer.up_proj)]
    for layer in layers:
        layer.runs_again = on
    return len(layers)


def use_fast_gates(trunk: nn.Module) -> int:
    """Let every part of `trunk` that computes this, the first of each class and activation tried on random numbers, do it in fewer passes. Returns: how many there are."""
    found, agree = [layer for layer in trunk.modules() if _has_gate(layer)], dict[tuple[type, ...], bool]()
    for layer in found:
        if _kind(layer) not in agree:
            agree[_kind(layer)] = _agrees(layer)
    chosen = [layer for layer in found if agree[_kind(layer)]]
    for layer in chosen:
        layer.__class__ = preceded(type(layer), _Fused)
    return len(chosen)


def _kind(layer: nn.Module) -> tuple[type, ...]:
    return type(layer), type(getattr(layer, "act_fn", None))


def _has_gate(layer: nn.Module) -> bool:
    return not isinstance(layer, _Fused) and all(isinstance(getattr(layer, name, None), nn.Module) for name in _PROJECTIONS)


@torch.no_grad()
def _agrees(layer: Any) -> bool:
    own, draw, size = kernels(), torch.Generator().manual_seed(0), getattr(layer.gate_proj, "in_features", 0)
    if own is None or not size or not all(p.is_cpu and p.dtype is torch.float32 for p in layer.parameters()):
        return False
    x = torch.randn(2, size, generator=draw)
    try:
        expected, found = layer(x), layer.down_proj(gated(layer.gate_proj(x), layer.up_proj(x)))
    except Interrupted:
        raise
    except Exception:  # whatever a model's own code raises: it reads something else beside
        return False
    says_something = isinstance(expected, Tensor) and bool(expected.abs().max() > 0)
    return says_something and torch.allclose(found, expected, rtol=_NEAR, atol=_NEAR * float(expected.abs().max()))
