"""Fused LoRA: one autograd step for a frozen linear layer with its adapter, swapped in under peft's own modules.

    y = x W' + bias + s (x A') B'        T tokens    I inputs    O outputs    r rank    s = lora_alpha / r

The backward pass keeps x and x A' only, makes no gradient for W, and multiplies the small products first. Where W is kept in bfloat16, x and y are
too, A and B act in bfloat16, and their gradients are summed in their own float32.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from peft.tuners.lora import layer as peft_lora
from torch import Tensor, nn
from torch._subclasses.functional_tensor import FunctionalTensorMode

from tunesmith.engine.kernels.frozen import Int8Linear, frozen_gradient, frozen_linear
from tunesmith.engine.kernels.product import product

__all__ = ["fuse_lora"]


def _plus(y: Tensor, left: Tensor, right: Tensor, scale: float, scale_O: Tensor | None) -> Tensor:
    """y + scale (left right): in one product where y is one too, and as what a compiler fuses where y is the end of an int8 product."""
    return y.addmm_(left, right, alpha=scale) if scale_O is None else y + (scale * left) @ right


def _forward(
    x_TI: Tensor, weight_OI: Tensor, scale_O: Tensor | None, bias_O: Tensor | None, a_rI: Tensor, b_Or: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Returns: y and x A'."""
    xa_Tr = x_TI @ a_rI.to(x_TI.dtype).t()
    return _plus(frozen_linear(x_TI, weight_OI, scale_O, bias_O), xa_Tr, b_Or.to(x_TI.dtype).t(), scale, scale_O), xa_Tr


def _backward(
    grad_TO: Tensor,
    x_TI: Tensor,
    weight_OI: Tensor,
    scale_O: Tensor | None,
    a_rI: Tensor,
    b_Or: Tensor,
    xa_Tr: Tensor,
    scale: float,
    wants_x: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns: the gradients of x (empty where it is not wanted), A and B."""
    gb_Tr, a = grad_TO @ b_Or.to(x_TI.dtype), a_rI.to(x_TI.dtype)
    grad_x = _plus(frozen_gradient(grad_TO, weight_OI, scale_O), gb_Tr, a, scale, scale_O) if wants_x else grad_TO.new_empty(0)
    grad_a = product(gb_Tr.t(), x_TI, a_rI.dtype).mul_(scale)
    # x A' first: the other order, grad' x A', reads the long side of the product across its rows
    return grad_x, grad_a, product(xa_Tr.t(), grad_TO, b_Or.dtype).mul_(scale).t().contiguous()


class _FrozenLinearWithAdapter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x_TI: Tensor,
        weight_OI: Tensor,
        scale_O: Tensor | None,
        bias_O: Tensor | None,
        a_rI: Tensor,
        b_Or: Tensor,
        scale: float,
    ) -> Tensor:
        y, xa_Tr = _forward(x_TI, weight_OI, scale_O, bias_O, a_rI, b_Or, scale)
        ctx.save_for_backward(x_TI, weight_OI, scale_O, a_rI, b_Or, xa_Tr)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wants_x = ctx.needs_input_grad[0]
        x_TI, weight_OI, scale_O, a_rI, b_Or, xa_Tr = ctx.saved_tensors
        grad_x, grad_a, grad_b = _backward(grads[0], x_TI, weight_OI, scale_O, a_rI, b_Or, xa_Tr, ctx.scale, wants_x)
        return grad_x if wants_x else None, None, None, None, grad_a, grad_b, None


def _forward_shapes(
    x_TI: Tensor, weight_OI: Tensor, _scale_O: Tensor | None, _bias_O: Tensor | None, a_rI: Tensor, *_: object
) -> tuple[Tensor, Tensor]:
    return x_TI.new_empty(x_TI.shape[0], weight_OI.shape[0]), x_TI.new_empty(x_TI.shape[0], a_rI.shape[0])


def _backward_shapes(
    _grad: Tensor, x_TI: Tensor, _weight: Tensor, _scale_O: Tensor | None, a_rI: Tensor, b_Or: Tensor, *others: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return x_TI.new_empty(x_TI.shape if others[-1] else 0), torch.empty_like(a_rI), torch.empty_like(b_Or)


def _operator(name: str, *, is_open: bool) -> Any:
    """The same step as an operator for compiled code. `is_open`: whether the compiler looks into it."""
    forward = torch.library.custom_op(f"tunesmith::{name}", _forward, mutates_args=())
    backward = torch.library.custom_op(f"tunesmith::{name}_backward", _backward, mutates_args=())
    forward.register_fake(_forward_shapes)
    backward.register_fake(_backward_shapes)
    if is_open:
        for operator, written_out in ((forward, _forward), (backward, _backward)):
            operator.register_torch_dispatch(FunctionalTensorMode, functools.partial(_written_out, written_out))

    def setup(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        x_TI, weight_OI, scale_O, _, a_rI, b_Or, ctx.scale = inputs
        ctx.save_for_backward(x_TI, weight_OI, scale_O, a_rI, b_Or, output[1])

    def differentiate(ctx, grad_TO, _grad_xa):  # type: ignore[no-untyped-def]
        wants_x = ctx.needs_input_grad[0]
        grad_x, grad_a, grad_b = backward(grad_TO.contiguous(), *ctx.saved_tensors, ctx.scale, wants_x)
        return grad_x if wants_x else None, None, None, None, grad_a, grad_b, None

    forward.register_autograd(differentiate, setup_context=setup)
    return forward


def _written_out(body: Callable[..., Any], mode: Any, _operator: Any, _types: Any, args: Any, kwargs: Any) -> Any:
    with mode:
        return body(*args, **kwargs)


_closed = _operator("lora_linear", is_open=False)
"""In float32 the compiler has nothing to gain: it would make a copy of what is added in place."""
_open = _operator("int8_lora_linear", is_open=True)
"""In int8 it joins the rounding before a product, and the scaling after it, to what stands there."""


def lora_linear(
    x_TI: Tensor, weight_OI: Tensor, scale_O: Tensor | None, bias_O: Tensor | None, a_rI: Tensor, b_Or: Tensor, scale: float
) -> Tensor:
    """x W' + bias + scale (x A') B', (T, O); no gradient for W and the bias. `scale_O`: of an int8 W (`kernels/frozen.py`)."""
    if torch.compiler.is_compiling():
        operator = _closed if scale_O is None else _open
        return operator(x_TI, weight_OI, scale_O, bias_O, a_rI, b_Or, scale)[0]  # type: ignore[no-any-return]
    y: Tensor = _FrozenLinearWithAdapter.apply(x_TI, weight_OI, scale_O, bias_O, a_rI, b_Or, scale)  # type: ignore[no-untyped-call]
    return y


class Linear(peft_lora.Linear):
    """peft's LoRA layer, its name too; only `forward` differs, and only where the plain formula holds."""

    # Any variant (DoRA and others) and whatever else the formula above leaves out goes to peft's own forward.

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The fused pass, or peft's."""
        adapter = self._plain_adapter() if not args and not kwargs and not torch.is_autocast_enabled(x.device.type) else None
        if adapter is None:
            return super().forward(x, *args, **kwargs)
        base: Any = self.get_base_layer()
        a, b = (getattr(self, name)[adapter].weight for name in ("lora_A", "lora_B"))
        scale = base.scale if isinstance(base, Int8Linear) else None
        y = lora_linear(x.reshape(-1, x.shape[-1]), base.weight, scale, base.bias, a, b, self.scaling[adapter])
        return y.view(*x.shape[:-1], -1)

    def _plain_adapter(self) -> str | None:
        """The one active adapter, where the layer is nothing but a frozen linear layer and a low-rank change."""
        active = [name for name in self.active_adapters if name in self.lora_A]
        base = self.get_base_layer()
        if (
            len(active) != 1
            or self.disable_adapters
            or self.merged
            or type(base) not in (nn.Linear, Int8Linear)
            or base.weight.requires_grad
        ):
            return None
        name: str = active[0]
        has_hooks = base._forward_hooks or base._forward_pre_hooks or base._backward_hooks
        trains_bias = base.bias is not None and base.bias.requires_grad
        drops = self.training and not isinstance(self.lora_dropout[name], nn.Identity)
        if has_hooks or trains_bias or drops or name in self.lora_variant or self.lora_bias.get(name) or self.fan_in_fan_out:
            return None
        return name


def fuse_lora(trunk: nn.Module) -> int:
    """Let every plain LoRA layer of `trunk` run fused. Names, saving, merging and switching adapters stay peft's. Returns: how many."""
    count = 0
    for module in trunk.modules():
        if type(module) is peft_lora.Linear:
            module.__class__ = Linear
            count += 1
    return count
