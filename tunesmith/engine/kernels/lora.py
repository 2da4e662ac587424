"""Fused LoRA: one autograd step for a frozen linear layer with its adapter, swapped in under peft's own modules.

    y = x W' + bias + s (x A') B'        T tokens    I inputs    O outputs    r rank    s = lora_alpha / r

The backward pass keeps x and x A' only, makes no gradient for W, and multiplies the small products first.
"""

from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners.lora import layer as peft_lora
from torch import Tensor, nn

__all__ = ["fuse_lora"]


class _FrozenLinearWithAdapter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None, a_rI: Tensor, b_Or: Tensor, scale: float) -> Tensor:
        xa_Tr = x_TI @ a_rI.t()
        ctx.save_for_backward(x_TI, weight_OI, a_rI, b_Or, xa_Tr)
        ctx.scale = scale
        return F.linear(x_TI, weight_OI, bias_O).addmm_(xa_Tr, b_Or.t(), alpha=scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x_TI, weight_OI, a_rI, b_Or, xa_Tr = ctx.saved_tensors
        grad_TO = grads[0]
        gb_Tr = grad_TO @ b_Or
        grad_x = (grad_TO @ weight_OI).addmm_(gb_Tr, a_rI, alpha=ctx.scale) if ctx.needs_input_grad[0] else None
        grad_a = (gb_Tr.t() @ x_TI).mul_(ctx.scale)
        grad_b = (grad_TO.t() @ xa_Tr).mul_(ctx.scale)
        return grad_x, None, None, grad_a, grad_b, None


class Linear(peft_lora.Linear):
    """peft's LoRA layer, its name too; only `forward` differs, and only where the plain formula holds."""

    # Any variant (DoRA and others) and whatever else the formula above leaves out goes to peft's own forward.

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The fused pass, or peft's."""
        adapter = self._plain_adapter() if not args and not kwargs and not torch.is_autocast_enabled(x.device.type) else None
        if adapter is None:
            return super().forward(x, *args, **kwargs)
        base = self.get_base_layer()
        a, b = self.lora_A[adapter].weight.to(x.dtype), self.lora_B[adapter].weight.to(x.dtype)
        flat = x.reshape(-1, x.shape[-1])
        y: Tensor = _FrozenLinearWithAdapter.apply(flat, base.weight, base.bias, a, b, self.scaling[adapter])  # type: ignore[no-untyped-call]
        return y.view(*x.shape[:-1], -1)

    def _plain_adapter(self) -> str | None:
        """The one active adapter, where the layer is nothing but a frozen linear layer and a low-rank change."""
        active = [name for name in self.active_adapters if name in self.lora_A]
        base = self.get_base_layer()
        if len(active) != 1 or self.disable_adapters or self.merged or type(base) is not nn.Linear or base.weight.requires_grad:
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
