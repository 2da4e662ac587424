"""Dropout on the CPU, with random bits drawn many at a time: sixteen decide over a number. torch draws for each number alone, one after the other.

The C kernels hash a number's place for them, in both passes, so that nothing is kept; where there are none, they are drawn and kept.

    y = x * keep / (1 - p)        keep is 0 with probability p, rounded to a multiple of 2^-16

Source: Srivastava et al. (2014), "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", https://jmlr.org/papers/v15/srivastava14a.html.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.engine.kernels.native import kernels

__all__ = ["draw_kept", "dropout", "use_fast_dropout"]

_STEPS = 2**16


def draw_kept(shape: torch.Size, p: float) -> Tensor:
    """True where a number stays. The bits are a function of torch's generator, which takes one step."""
    count = math.prod(shape)
    bits = np.random.SFC64(int(torch.randint(2**62, ()))).random_raw(-(-count // 4)).view(np.int16)
    return torch.from_numpy(bits)[:count].view(shape) >= round(p * _STEPS) - _STEPS // 2


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        own = kernels()
        ctx.how = None
        if own is not None and own.can_drop(x):
            ctx.how = p, int(torch.randint(2**62, ()))
            return own.drop(x, *ctx.how)
        kept, ctx.scale = draw_kept(x.shape, p), 1 / (1 - p)
        ctx.save_for_backward(kept)
        return (x * kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        own = kernels()
        if own is not None and ctx.how is not None:
            return own.drop(grads[0], *ctx.how), None
        (kept,) = ctx.saved_tensors
        return (grads[0] * kept).mul_(ctx.scale), None


def dropout(x: Tensor, p: float) -> Tensor:
    """`x` with each number dropped with probability `p`, the others scaled so that the mean stays. On the CPU; elsewhere torch's own."""
    if x.device.type != "cpu" or not 0 < p < 1:
        return nn.functional.dropout(x, p)
    y: Tensor = _Dropout.apply(x, p)  # type: ignore[no-untyped-call]
    return y


class Dropout(nn.Dropout):
    """torch's layer, its name too; only where its numbers come from differs."""

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Dropout`."""
        return dropout(x, self.p) if self.training and not self.inplace else super().forward(x)


def use_fast_dropout(trunk: nn.Module) -> int:
    """Let every dropout layer of `trunk` draw this way. Returns: how many there are."""
    layers = [module for module in trunk.modules() if type(module) is nn.Dropout]
    for layer in layers:
        layer.__class__ = Dropout
    return len(layers)
