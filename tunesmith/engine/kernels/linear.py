"""Linear layers in float32 on the CPU, their products by our own kernel where it is faster than what torch carries.

y = x W' + bias        the gradients: of x = g W, of W = g' x        T tokens    I inputs    O outputs
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tunesmith.engine.kernels.again import Again, made_by
from tunesmith.engine.kernels.compiled import Kernels
from tunesmith.engine.kernels.native import kernels

__all__ = ["Linear", "is_linear", "times", "times_transposed", "use_fast_linear", "weight_gradient"]


def _fast() -> Kernels | None:
    """The kernels, where their products are the faster ones on this machine."""
    own = kernels()
    return own if own is not None and own.outruns_torch else None


def _fast_for(a_RK: Tensor, b_KN: Tensor) -> Kernels | None:
    """The kernels, where they multiply such matrices, and faster."""
    own = _fast()
    return own if own is not None and own.can_multiply(a_RK, b_KN) else None


def times_transposed(x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """x W' + bias, (T, O). No gradient."""
    own = _fast_for(x_TI, weight_OI.t())
    if own is not None and (bias_O is None or bias_O.is_contiguous()):
        return own.matmul(x_TI, weight_OI.t(), bias_O)
    return F.linear(x_TI, weight_OI, bias_O)


def times(grad_TO: Tensor, weight_OI: Tensor) -> Tensor:
    """g W, (T, I). No gradient."""
    own = _fast_for(grad_TO, weight_OI)
    return grad_TO @ weight_OI if own is None else own.matmul(grad_TO, weight_OI)


def weight_gradient(grad_TO: Tensor, x_TI: Tensor, into: Tensor | None = None) -> Tensor:
    """g' x, (O, I); added to `into`, in place, where it is given."""
    own = _fast_for(grad_TO.t(), x_TI)
    if own is not None and (into is None or into.is_contiguous()):
        return own.matmul(grad_TO.t(), x_TI, None, into)
    return grad_TO.t() @ x_TI if into is None else into.addmm_(grad_TO.t(), x_TI)


def _gradients(
    grad_TO: Tensor, x_TI: Tensor, weight_OI: Tensor, wants_x: bool, wants_weight: bool, wants_bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns: the gradients of x, W and the bias, each empty where it is not wanted."""
    return (
        times(grad_TO, weight_OI) if wants_x else grad_TO.new_empty(0),
        weight_gradient(grad_TO, x_TI) if wants_weight else grad_TO.new_empty(0),
        grad_TO.sum(0) if wants_bias else grad_TO.new_empty(0),
    )


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None, again: Again[Tensor] | None) -> Tensor:
        ctx.again = again if ctx.needs_input_grad[1] else None
        ctx.save_for_backward(x_TI if ctx.needs_input_grad[1] and again is None else None, weight_OI)
        return times_transposed(x_TI, weight_OI, bias_O)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x_TI, weight_OI = ctx.saved_tensors
        if ctx.again is not None:
            x_TI = ctx.again().view(-1, weight_OI.shape[1])
        wants = ctx.needs_input_grad[:3]
        found = _gradients(grads[0], x_TI, weight_OI, *wants)
        return *(one if wanted else None for one, wanted in zip(found, wants, strict=True)), None


_operator = torch.library.custom_op("tunesmith::linear", times_transposed, mutates_args=())
"""The same step for compiled code, which does not look into it."""
_operator_backward = torch.library.custom_op("tunesmith::linear_backward", _gradients, mutates_args=())


@_operator.register_fake
def _(x_TI: Tensor, weight_OI: Tensor, _bias: Tensor | None = None) -> Tensor:
    return x_TI.new_empty(x_TI.shape[0], weight_OI.shape[0])


@_operator_backward.register_fake
def _(grad_TO: Tensor, x_TI: Tensor, weight_OI: Tensor, *wanted: bool) -> tuple[Tensor, Tensor, Tensor]:
    shapes: tuple[Any, ...] = (x_TI.shape, weight_OI.shape, weight_OI.shape[:1])
    found = [grad_TO.new_empty(shape if wants else 0) for shape, wants in zip(shapes, wanted, strict=True)]
    return found[0], found[1], found[2]


def _setup(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x_TI, weight_OI, _ = inputs
    ctx.save_for_backward(x_TI, weight_OI)


def _differentiate(ctx, grad_TO):  # type: ignore[no-untyped-def]
    wants = (*ctx.needs_input_grad, False)[:3]  # a bias that is not there is not counted
    found = _operator_backward(grad_TO, *ctx.saved_tensors, *wants)
    return tuple(one if wanted else None for one, wanted in zip(found, wants, strict=True))


_operator.register_autograd(_differentiate, setup_context=_setup)


class Linear(nn.Linear):
    """torch's layer, its name too; only who multiplies differs."""

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Linear`."""
        if x.dtype != torch.float32 or self.weight.dtype != torch.float32 or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        x_TI = x.reshape(-1, x.shape[-1])
        if torch.compiler.is_compiling():
            y = _operator(x_TI, self.weight, self.bias)
        elif torch.is_grad_enabled():
            y = _Linear.apply(x_TI, self.weight, self.bias, made_by(x))  # type: ignore[no-untyped-call]
        else:
            y = times_transposed(x_TI, self.weight, self.bias)
        return y.view(*x.shape[:-1], len(self.weight))  # type: ignore[no-any-return]


def is_linear(module: nn.Module | None) -> bool:
    """Whether a module is nothing but a linear layer, torch's or the one above."""
    return type(module) in (nn.Linear, Linear)


def use_fast_linear(trunk: nn.Module) -> int:
    """Let every linear layer of `trunk` multiply this way, where that is faster on this machine. Returns: how many do."""
    layers = [module for module in trunk.modules() if is_linear(module)] if _fast() is not None else []
    for layer in layers:
        layer.__class__ = Linear
    return len(layers)
