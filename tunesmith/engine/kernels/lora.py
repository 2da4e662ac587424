"""Fused LoRA: one autograd step for a frozen linear layer with its adapter, swapped in under peft's own modules.

    y = x W' + bias + s (x A') B'        T tokens    I inputs    O outputs    r rank    s = lora_alpha / r

The backward pass keeps x A', and x where that is not made again (`kernels/again.py`), makes no gradient for W, and multiplies the small products first. Where W is kept in bfloat16, x and y are
too, A and B act in bfloat16, and their gradients are summed in their own float32. A quantized W is made anew in both passes and never kept.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from peft.tuners.lora import layer as peft_lora
from torch import Tensor, nn

from tunesmith.engine.kernels.again import Again, made_again_is_off, made_by
from tunesmith.engine.kernels.frozen import Int8Linear, frozen_gradient, frozen_linear, int8_gradient, int8_product
from tunesmith.engine.kernels.linear import Linear as FastLinear
from tunesmith.engine.kernels.linear import is_linear
from tunesmith.engine.kernels.native import kernels
from tunesmith.engine.kernels.product import product
from tunesmith.engine.kernels.quantized import PackedWeight, QuantizedLinear

__all__ = ["can_run_again", "fuse_lora", "lets_go_of_what_it_reads", "unchanging"]


def _forward(
    x_TI: Tensor, weight_OI: Tensor, scale_O: Tensor | None, bias_O: Tensor | None, a_rI: Tensor, b_Or: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Returns: y and x A'."""
    own = kernels()
    if own is not None and own.can_adapt(x_TI, a_rI, b_Or):
        if scale_O is None:
            return own.adapter_forward(frozen_linear(x_TI, weight_OI, None, bias_O), x_TI, a_rI, b_Or, scale)
        sums_TO, step_T = int8_product(x_TI, weight_OI)
        return own.adapter_forward(sums_TO, x_TI, a_rI, b_Or, scale, step_T, scale_O, bias_O)
    xa_Tr = x_TI @ a_rI.to(x_TI.dtype).t()
    return frozen_linear(x_TI, weight_OI, scale_O, bias_O).addmm_(xa_Tr, b_Or.to(x_TI.dtype).t(), alpha=scale), xa_Tr


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
    own = kernels()
    if own is not None and own.can_adapt(x_TI, a_rI, b_Or):
        sums_or_grad, step_T = None, None
        if wants_x and scale_O is None:
            sums_or_grad = frozen_gradient(grad_TO, weight_OI, None)
        elif wants_x and scale_O is not None:
            sums_or_grad, step_T = int8_gradient(grad_TO, weight_OI, scale_O)
        grad_x, grad_a, grad_b = own.adapter_backward(grad_TO, x_TI, a_rI, b_Or, xa_Tr, sums_or_grad, scale, step_T)
        return grad_TO.new_empty(0) if grad_x is None else grad_x, grad_a, grad_b
    gb_Tr, a = grad_TO @ b_Or.to(x_TI.dtype), a_rI.to(x_TI.dtype)
    grad_x = frozen_gradient(grad_TO, weight_OI, scale_O).addmm_(gb_Tr, a, alpha=scale) if wants_x else grad_TO.new_empty(0)
    grad_a = product(gb_Tr.t(), x_TI, a_rI.dtype).mul_(scale)
    # x A' first: the other order, grad' x A', reads the long side of the product across its rows
    return grad_x, grad_a, product(xa_Tr.t(), grad_TO, b_Or.dtype).mul_(scale).t().contiguous()


def _without_gradient(
    weight_OI: Tensor, scale_O: Tensor | None, bias_O: Tensor | None, a_rI: Tensor, b_Or: Tensor, scale: float
) -> Callable[[Tensor], Tensor]:
    """`_forward` for x alone, in a single call of C where there is one for such tensors."""
    own, beside = kernels(), [one for one in (a_rI, b_Or, weight_OI, bias_O) if one is not None]
    are_plain = scale_O is None and all(one.is_contiguous() and one.dtype is torch.float32 for one in beside)
    if own is not None and own.outruns_torch and are_plain and own.can_adapt(a_rI, a_rI, b_Or):  # A has the width of x
        run = own.adapted
        return lambda x_TI: (
            run(x_TI, weight_OI, bias_O, a_rI, b_Or, scale)
            if x_TI.shape[0] > 1 and x_TI.dtype is torch.float32 and x_TI.is_contiguous()
            else _forward(x_TI, weight_OI, scale_O, bias_O, a_rI, b_Or, scale)[0]
        )
    return lambda x_TI: _forward(x_TI, weight_OI, scale_O, bias_O, a_rI, b_Or, scale)[0]


def _made(kept_TI: Tensor | None, again: Again[Tensor] | None) -> Tensor:
    """What the layer read."""
    x = kept_TI if again is None else again()
    assert x is not None
    return x.view(-1, x.shape[-1])


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
        again: Again[Tensor] | None = None,
    ) -> Tensor:
        y, xa_Tr = _forward(x_TI, weight_OI, scale_O, bias_O, a_rI, b_Or, scale)
        ctx.save_for_backward(None if again else x_TI, weight_OI, scale_O, a_rI, b_Or, xa_Tr)
        ctx.scale, ctx.again = scale, again
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wants_x = ctx.needs_input_grad[0]
        x_TI, weight_OI, scale_O, a_rI, b_Or, xa_Tr = ctx.saved_tensors
        x_TI = _made(x_TI, ctx.again)
        grad_x, grad_a, grad_b = _backward(grads[0], x_TI, weight_OI, scale_O, a_rI, b_Or, xa_Tr, ctx.scale, wants_x)
        return grad_x if wants_x else None, None, None, None, grad_a, grad_b, None, None


class _QuantizedLinearWithAdapter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x_TI: Tensor,
        weight: PackedWeight,
        bias_O: Tensor | None,
        a_rI: Tensor,
        b_Or: Tensor,
        scale: float,
        again: Again[Tensor] | None,
    ) -> Tensor:
        y, xa_Tr = _forward(x_TI, weight.unpacked(x_TI.dtype), None, bias_O, a_rI, b_Or, scale)
        ctx.save_for_backward(None if again else x_TI, a_rI, b_Or, xa_Tr)
        ctx.weight, ctx.scale, ctx.again = weight, scale, again
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wants_x = ctx.needs_input_grad[0]
        x_TI, a_rI, b_Or, xa_Tr = ctx.saved_tensors
        x_TI = _made(x_TI, ctx.again)
        weight_OI = ctx.weight.unpacked(x_TI.dtype) if wants_x else x_TI.new_empty(0)
        grad_x, grad_a, grad_b = _backward(grads[0], x_TI, weight_OI, None, a_rI, b_Or, xa_Tr, ctx.scale, wants_x)
        return grad_x if wants_x else None, None, None, grad_a, grad_b, None, None


def _forward_shapes(
    x_TI: Tensor, weight_OI: Tensor, _scale_O: Tensor | None, _bias_O: Tensor | None, a_rI: Tensor, *_: object
) -> tuple[Tensor, Tensor]:
    return x_TI.new_empty(x_TI.shape[0], weight_OI.shape[0]), x_TI.new_empty(x_TI.shape[0], a_rI.shape[0])


def _backward_shapes(
    _grad: Tensor, x_TI: Tensor, _weight: Tensor, _scale_O: Tensor | None, a_rI: Tensor, b_Or: Tensor, *others: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return x_TI.new_empty(x_TI.shape if others[-1] else 0), torch.empty_like(a_rI), torch.empty_like(b_Or)


_operator = torch.library.custom_op("tunesmith::lora_linear", _forward, mutates_args=())
"""The same step for compiled code, which does not look into it: a compiler would make a copy of what is added in place."""
_operator_backward = torch.library.custom_op("tunesmith::lora_linear_backward", _backward, mutates_args=())
_operator.register_fake(_forward_shapes)
_operator_backward.register_fake(_backward_shapes)


def _setup(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x_TI, weight_OI, scale_O, _, a_rI, b_Or, ctx.scale = inputs
    ctx.save_for_backward(x_TI, weight_OI, scale_O, a_rI, b_Or, output[1])


def _differentiate(ctx, grad_TO, _grad_xa):  # type: ignore[no-untyped-def]
    wants_x = ctx.needs_input_grad[0]
    grad_x, grad_a, grad_b = _operator_backward(grad_TO.contiguous(), *ctx.saved_tensors, ctx.scale, wants_x)
    return grad_x if wants_x else None, None, None, None, grad_a, grad_b, None


_operator.register_autograd(_differentiate, setup_context=_setup)


def lora_linear(
    x_TI: Tensor,
    weight_OI: Tensor,
    scale_O: Tensor | None,
    bias_O: Tensor | None,
    a_rI: Tensor,
    b_Or: Tensor,
    scale: float,
    again: Again[Tensor] | None = None,
) -> Tensor:
    """x W' + bias + scale (x A') B', (T, O); no gradient for W and the bias. `scale_O`: of an int8 W (`kernels/frozen.py`). `again`: how x is made, which is not kept then."""
    if torch.compiler.is_compiling():
        return _operator(x_TI, weight_OI, scale_O, bias_O, a_rI, b_Or, scale)[0]  # type: ignore[no-any-return]
    y: Tensor = _FrozenLinearWithAdapter.apply(x_TI, weight_OI, scale_O, bias_O, a_rI, b_Or, scale, again)  # type: ignore[no-untyped-call]
    return y


class Linear(peft_lora.Linear):
    """peft's LoRA layer, its name too; only `forward` differs, and only where the plain formula holds."""

    # Any variant (DoRA and others) and whatever else the formula above leaves out goes to peft's own forward.

    known: Callable[[Tensor], Tensor] | None = None
    """While `unchanging` lasts: from x, (T, I), to y, where this layer runs fused and its weight is no quantized one."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The fused pass, or peft's."""
        known = self.known  # read once: another thread may end what holds it
        if known is not None and not (args or kwargs or torch.is_grad_enabled() or torch.is_autocast_enabled(x.device.type)):
            y = known(x.reshape(-1, x.shape[-1]))
            return y.view(*x.shape[:-1], y.shape[-1])
        adapter = self._plain_adapter() if not args and not kwargs and not torch.is_autocast_enabled(x.device.type) else None
        if adapter is None:
            return super().forward(x, *args, **kwargs)
        x_TI = x.reshape(-1, x.shape[-1])
        base: Any = self.get_base_layer()
        if isinstance(base, QuantizedLinear):
            a, b = (getattr(self, name)[adapter].weight for name in ("lora_A", "lora_B"))
            y = _QuantizedLinearWithAdapter.apply(x_TI, base.packed, base.bias, a, b, self.scaling[adapter], made_by(x))  # type: ignore[no-untyped-call]
        else:
            y = lora_linear(x_TI, *self._beside_x(adapter), again=made_by(x))
        return y.view(*x.shape[:-1], y.shape[-1])

    def _beside_x(self, adapter: str) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor, Tensor, float]:
        """What `_forward` takes beside x."""
        base: Any = self.get_base_layer()
        scale = base.scale if isinstance(base, Int8Linear) else None
        a, b = (cast(Tensor, getattr(self, name)[adapter].weight) for name in ("lora_A", "lora_B"))
        return base.weight, scale, base.bias, a, b, self.scaling[adapter]

    def look(self) -> None:
        """Find `known`."""
        adapter = self._plain_adapter()
        self.known = (
            None if adapter is None or isinstance(self.get_base_layer(), QuantizedLinear) else _without_gradient(*self._beside_x(adapter))
        )

    def _plain_adapter(self) -> str | None:
        """The one active adapter, where the layer is nothing but a frozen linear layer and a low-rank change."""
        active = [name for name in self.active_adapters if name in self.lora_A]
        base = self.get_base_layer()
        if (
            len(active) != 1
            or self.disable_adapters
            or self.merged
            or not (is_linear(base) or type(base) in (Int8Linear, QuantizedLinear))
            or (type(base) is not QuantizedLinear and base.weight.requires_grad)
        ):
            return None
        name: str = active[0]
        has_hooks = base._forward_hooks or base._forward_pre_hooks or base._backward_hooks
        trains_bias = base.bias is not None and base.bias.requires_grad
        drops = self.training and not isinstance(self.lora_dropout[name], nn.Identity)
        if has_hooks or trains_bias or drops or name in self.lora_variant or self.lora_bias.get(name) or self.fan_in_fan_out:
            return None
        return name


def lets_go_of_what_it_reads(layer: nn.Module) -> bool:
    """Whether `layer`, in training, keeps nothing of what it reads where that says how it is made (`kernels/again.py`)."""
    if made_again_is_off() or _is_heard(layer):
        return False
    return isinstance(layer, Int8Linear | FastLinear) or (type(layer) is Linear and layer._plain_adapter() is not None)


def can_run_again(layer: nn.Module) -> bool:
    """Whether `layer`, run a second time, says the same, and nobody hears of it."""
    if _is_heard(layer) or any(isinstance(module, nn.Dropout) and module.p > 0 for module in layer.modules()):
        return False
    return isinstance(layer, nn.Linear | Int8Linear | QuantizedLinear) or (type(layer) is Linear and layer._plain_adapter() is not None)


def _is_heard(layer: nn.Module) -> bool:
    """Whether a hook sees what the layer reads or says, in either pass."""
    own = layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks
    return bool(own or nn.modules.module._has_any_global_hook())  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def unchanging(trunk: nn.Module) -> Iterator[None]:
    """While it lasts no adapter is switched, merged, hooked or put in training mode: a fused layer that runs without gradients looks for its parts once."""
    layers = [module for module in trunk.modules() if type(module) is Linear]
    try:
        for layer in layers:
            layer.look()
        yield
    finally:
        for layer in layers:
            layer.known = None


def fuse_lora(trunk: nn.Module) -> int:
    """Let every plain LoRA layer of `trunk` run fused. Names, saving, merging and switching adapters stay peft's. Returns: how many."""
    count = 0
    for module in trunk.modules():
        if type(module) is peft_lora.Linear:
            module.__class__ = Linear
            count += 1
    return count
