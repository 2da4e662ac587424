"""Rotary positions on the CPU, of queries and keys, in one pass each: a model's own attention layer runs, and finds this where it calls its function.

Source: Su et al. (2021), "RoFormer: Enhanced Transformer with Rotary Position Embedding", https://arxiv.org/abs/2104.09864.

T tokens    h heads    d head size
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.engine.kernels.native import eager_kernels, kernels
from tunesmith.engine.kernels.replaced import calling

__all__ = ["use_fast_rotations"]

_NAME = "apply_rotary_pos_emb"
_NEAR = 1e-5
_Rotates = Callable[..., tuple[Tensor, Tensor]]


class _Rotated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        own = kernels()
        assert own is not None
        ctx.save_for_backward(cos, sin)
        return own.rotate(q, cos, sin), own.rotate(k, cos, sin)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        own = kernels()
        assert own is not None
        return *(own.rotate(grad, *ctx.saved_tensors, is_backward=True) for grad in grads), None, None


def _instead_of(theirs: _Rotates) -> _Rotates:
    """A function that does what `theirs` does, faster where it can."""

    def rotated(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        own = None if args or kwargs or cos.requires_grad else eager_kernels()
        if own is None or not (own.can_rotate(q, cos, sin) and own.can_rotate(k, cos, sin)):
            return theirs(q, k, cos, sin, *args, **kwargs)
        if not torch.is_grad_enabled():
            return own.rotate(q, cos, sin), own.rotate(k, cos, sin)
        return _Rotated.apply(q, k, cos, sin)  # type: ignore[no-untyped-call,no-any-return]

    return rotated


def use_fast_rotations(trunk: nn.Module) -> int:
    """Let every attention layer of `trunk` whose own function, tried on random numbers, rotates halves this way do it in one pass. Returns: how many do."""
    found: dict[type, type | None] = {}
    count = 0
    for layer in trunk.modules():
        kind = type(layer)
        if kind not in found:
            found[kind] = _faster(kind)
        faster = found[kind]
        if faster is not None:
            layer.__class__ = faster
            count += 1
    return count


def _faster(kind: type) -> type | None:
    """`kind`, rotating faster; None where it does not rotate, or otherwise."""
    forward = getattr(kind, "forward", None)
    names, known = getattr(getattr(forward, "__code__", None), "co_names", ()), getattr(forward, "__globals__", {})
    theirs = known.get(_NAME) if _NAME in names else None
    if theirs is None or not _agrees(theirs):
        return None
    return calling(kind, _NAME, _instead_of(theirs))


@torch.no_grad()
def _agrees(theirs: _Rotates) -> bool:
    own, draw = kernels(), torch.Generator().manual_seed(0)
    if own is None:
        return False
    size = 2 * own.lanes
    q, k = (torch.randn(1, heads, 3, size, generator=draw) for heads in (4, 2))
    cos, sin = torch.randn(1, 3, size, generator=draw), torch.randn(1, 3, size, generator=draw)
    try:
        expected = theirs(q, k, cos, sin)
    except (TypeError, RuntimeError, ValueError, IndexError):  # it rotates something else, or by something else
        return False
    found = own.rotate(q, cos, sin), own.rotate(k, cos, sin)
    return len(expected) == 2 and all(
        a.shape == b.shape and torch.allclose(a, b, rtol=_NEAR, atol=_NEAR) for a, b in zip(found, expected, strict=True)
    )
