"""Products with a frozen weight, in its own numbers or in int8.

    y = x W' + bias        the gradient of x = g W        T tokens    I inputs    O outputs

Int8: W is kept as diag(scale_O) Q with Q in -127..127, one scale for each of its rows, and in no other form. What it is multiplied with is rounded
the same way, row by row, at each product. Sums are exact (int32): all of the error is in the two roundings.

Source: Dettmers et al. (2022), "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale", https://arxiv.org/abs/2208.07339, without
its outlier columns.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.allocator import let_go_of_pages
from tunesmith.engine.kernels.linear import is_linear, times, times_transposed
from tunesmith.engine.kernels.native import kernels

__all__ = [
    "Int8Linear",
    "RoundedWeights",
    "frozen_gradient",
    "frozen_linear",
    "int8_gradient",
    "int8_product",
    "quantize_frozen",
    "quantized_rows",
    "rescaled_rows",
]

_LARGEST = 127.0

RoundedWeights = dict[Tensor, tuple[Tensor, Tensor]]
"""A weight -> what `quantized_rows` makes of it."""


def quantized_rows(x_RC: Tensor, scale_C: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Each row, its columns times `scale_C`, as multiples of a step of its own. Returns: the multiples, int8, (R, C), and the steps, (R,)."""
    own = kernels()
    if own is not None and own.can_round(x_RC):
        return own.quantize_rows(x_RC, scale_C)
    x_RC = x_RC if scale_C is None else x_RC * scale_C
    step_R = x_RC.abs().amax(1).clamp_(min=torch.finfo(x_RC.dtype).tiny).div_(_LARGEST)
    return (x_RC / step_R[:, None]).round_().to(torch.int8), step_R


def rescaled_rows(sums_RC: Tensor, steps_R: Tensor, scale_C: Tensor | None, bias_C: Tensor | None) -> Tensor:
    """What the int32 sums of an int8 product stand for, in the dtype of the steps."""
    own = kernels()
    if own is not None and own.can_round(sums_RC.view(torch.float32)) and steps_R.dtype == torch.float32:
        return own.rescale_rows(sums_RC, steps_R, scale_C, bias_C)
    y_RC = sums_RC.to(steps_R.dtype).mul_(steps_R[:, None])
    if scale_C is not None:
        y_RC.mul_(scale_C)
    return y_RC if bias_C is None else y_RC.add_(bias_C)


def int8_product(x_TI: Tensor, weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of x W' with x rounded, int32, (T, O), and the steps of x's rows, (T,)."""
    rounded_TI, step_T = quantized_rows(x_TI)
    return torch._int_mm(rounded_TI, weight_OI.t()), step_T


def int8_gradient(grad_TO: Tensor, weight_OI: Tensor, scale_O: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of g W with g diag(scale) rounded, int32, (T, I), and the steps of its rows, (T,)."""
    rounded_TO, step_T = quantized_rows(grad_TO, scale_O)
    return torch._int_mm(rounded_TO, weight_OI), step_T


def frozen_linear(x_TI: Tensor, weight_OI: Tensor, scale_O: Tensor | None, bias_O: Tensor | None) -> Tensor:
    """x W' + bias, (T, O). `scale_O`: of an int8 weight; None for a weight in its own numbers."""
    if scale_O is None:
        return times_transposed(x_TI, weight_OI, bias_O)
    return rescaled_rows(*int8_product(x_TI, weight_OI), scale_O, bias_O)


def frozen_gradient(grad_TO: Tensor, weight_OI: Tensor, scale_O: Tensor | None) -> Tensor:
    """g W, (T, I)."""
    if scale_O is None:
        return times(grad_TO, weight_OI)
    return rescaled_rows(*int8_gradient(grad_TO, weight_OI, scale_O), None, None)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_TI: Tensor, weight_OI: Tensor, scale_O: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight_OI, scale_O)
        return frozen_linear(x_TI, weight_OI, scale_O, bias_O)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return frozen_gradient(grads[0], *ctx.saved_tensors), None, None, None


class Int8Linear(nn.Module):
    """A frozen linear layer whose weight is kept in int8."""

    scale: Tensor

    def __init__(self, layer: nn.Linear, rounded: RoundedWeights | None = None) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        weight, scale = (rounded or {}).get(layer.weight) or quantized_rows(layer.weight.detach())
        if rounded is not None:
            rounded[layer.weight] = weight, scale
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.register_buffer("scale", scale)
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Linear`, rounded."""
        y: Tensor = _Product.apply(x.reshape(-1, x.shape[-1]), self.weight, self.scale, self.bias)  # type: ignore[no-untyped-call]
        return y.view(*x.shape[:-1], -1)


def quantize_frozen(trunk: nn.Module, rounded: RoundedWeights | None = None) -> int:
    """Keep the weight of every frozen linear layer of `trunk`, the vocabulary head's left out, in int8 only; what of its file was read for it is let go.

    Args:
        rounded: of weights that other models share with this one; what is rounded here is added.
    Returns: how many layers.
    """
    head = trunk.get_output_embeddings() if hasattr(trunk, "get_output_embeddings") else None  # type: ignore[operator]
    count = 0
    for module in list(trunk.modules()):
        for name, child in module.named_children():
            if (
                isinstance(child, nn.Linear)
                and is_linear(child)
                and child is not head
                and not any(p.requires_grad for p in child.parameters())
            ):
                setattr(module, name, Int8Linear(child, rounded))
                let_go_of_pages(child.weight)
                count += 1
    return count
