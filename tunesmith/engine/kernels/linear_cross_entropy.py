"""Cross-entropy through the vocabulary head, without ever holding the logits of all positions.

N scored positions    H hidden size    V vocabulary
"""

from typing import Any

import torch
from torch import Tensor

from tunesmith.engine.kernels.linear import times, times_transposed, weight_gradient
from tunesmith.engine.kernels.product import product

__all__ = ["add_weight_gradient", "head_logits", "linear_cross_entropy", "positions_at_a_time"]

_CHUNK_BYTES = {"cpu": 24 * 2**20, "cuda": 512 * 2**20}
"""Of float32 logits. A GPU reads the whole head once a chunk, which takes about a thousand positions to be worth it."""


def positions_at_a_time(vocab_size: int, device: torch.device) -> int:
    """How many positions' logits are made together."""
    return max(1, _CHUNK_BYTES.get(device.type, _CHUNK_BYTES["cpu"]) // (4 * vocab_size))


def head_logits(hidden_NH: Tensor, head_VH: Tensor, bias_V: Tensor | None, dtype: torch.dtype) -> Tensor:
    """hidden W' + bias, (N, V), summed in `dtype`; the factors are of one dtype. No gradient."""
    if hidden_NH.dtype == dtype:
        return times_transposed(hidden_NH, head_VH, None if bias_V is None else bias_V.to(dtype))
    logits = product(hidden_NH, head_VH.t(), dtype)
    return logits if bias_V is None else logits.add_(bias_V)


def add_weight_gradient(grad_NV: Tensor, hidden_NH: Tensor, into: Tensor) -> None:
    """Add g' hidden to `into`, (V, H), in the dtype of that."""
    if grad_NV.dtype == into.dtype:
        weight_gradient(grad_NV, hidden_NH, into=into)
    else:
        into += product(grad_NV.t(), hidden_NH, into.dtype)


class _LinearCrossEntropy(torch.autograd.Function):
    """The gradient of the hidden states (and of the head, where it trains) is made in the forward pass: logits are computed once."""

    @staticmethod
    def forward(ctx: Any, hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, labels_N: Tensor, weights_N: Tensor) -> Tensor:
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        accurate = torch.promote_types(hidden_NH.dtype, torch.float32)
        head_VH = weight_VH.to(hidden_NH.dtype)
        grad_hidden = torch.empty_like(hidden_NH) if wants_hidden else None
        grad_weight = torch.zeros_like(weight_VH, dtype=accurate) if wants_weight else None
        grad_bias = torch.zeros_like(bias_V, dtype=accurate) if wants_bias and bias_V is not None else None
        total = torch.zeros((), dtype=accurate, device=hidden_NH.device)
        chunk = positions_at_a_time(len(weight_VH), hidden_NH.device)
        for start in range(0, len(hidden_NH), chunk):
            part = slice(start, start + chunk)
            logits = head_logits(hidden_NH[part], head_VH, bias_V, accurate)
            labels, weights = labels_N[part, None], weights_N[part, None].to(accurate)
            norm = logits.logsumexp(1, keepdim=True)
            total += ((norm - logits.gather(1, labels)) * weights).sum()
            if not (wants_hidden or wants_weight or wants_bias):
                continue
            # d(nll)/d(logits) = softmax - one hot, weighted
            grad = logits.sub_(norm).exp_().scatter_add_(1, labels, -torch.ones_like(norm)).mul_(weights)
            if grad_bias is not None:
                grad_bias += grad.sum(0)
            grad = grad.to(hidden_NH.dtype)
            if grad_hidden is not None:
                grad_hidden[part] = times(grad, head_VH)
            if grad_weight is not None:
                add_weight_gradient(grad, hidden_NH[part], grad_weight)
            del logits, grad  # or the next ones are made while these stand
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        ctx.dtypes = [None if x is None else x.dtype for x in (hidden_NH, weight_VH, bias_V)]
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        scale = grads[0]
        pairs = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        hidden, weight, bias = (None if saved is None else (saved * scale.to(saved.dtype)).to(dtype) for saved, dtype in pairs)
        return hidden, weight, bias, None, None


def linear_cross_entropy(hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, labels_N: Tensor, weights_N: Tensor) -> Tensor:
    """Weighted sum of -log softmax(hidden W' + bias)[label], in nats.

    Args:
        hidden_NH: hidden states at scored positions; products are made of numbers of its dtype, logits and gradients summed in at least float32.
        weight_VH: the head, with `bias_V`, in the same dtype or a finer one.
        labels_N: int64. `weights_N`: float, no gradient.
    Returns: scalar, float32 (float64 for float64 input).
    """
    if not torch.is_grad_enabled():  # autograd would still say that a head that trains wants its gradient
        hidden_NH, weight_VH = hidden_NH.detach(), weight_VH.detach()
        bias_V = None if bias_V is None else bias_V.detach()
    total: Tensor = _LinearCrossEntropy.apply(hidden_NH, weight_VH, bias_V, labels_N, weights_N)  # type: ignore[no-untyped-call]
    return total
