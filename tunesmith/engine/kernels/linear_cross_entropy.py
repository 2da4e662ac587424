"""Cross-entropy through the vocabulary head, without ever holding the logits of all positions.

N scored positions    H hidden size    V vocabulary
"""

from typing import Any

import torch
from torch import Tensor

__all__ = ["linear_cross_entropy"]

_CHUNK_BYTES = 64 * 2**20


class _LinearCrossEntropy(torch.autograd.Function):
    """The gradient of the hidden states (and of the head, where it trains) is made in the forward pass: logits are computed once."""

    @staticmethod
    def forward(ctx: Any, hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, labels_N: Tensor, weights_N: Tensor) -> Tensor:
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        grad_hidden = torch.empty_like(hidden_NH) if wants_hidden else None
        grad_weight = torch.zeros_like(weight_VH) if wants_weight else None
        grad_bias = torch.zeros_like(bias_V) if wants_bias and bias_V is not None else None
        accurate = torch.float64 if hidden_NH.dtype == torch.float64 else torch.float32
        total = torch.zeros((), dtype=accurate, device=hidden_NH.device)
        chunk = max(1, _CHUNK_BYTES // (4 * len(weight_VH)))
        for start in range(0, len(hidden_NH), chunk):
            part = slice(start, start + chunk)
            logits = (hidden_NH[part] @ weight_VH.t()).to(accurate)
            if bias_V is not None:
                logits += bias_V
            labels, weights = labels_N[part, None], weights_N[part, None].to(accurate)
            norm = logits.logsumexp(1, keepdim=True)
            total += ((norm - logits.gather(1, labels)) * weights).sum()
            if not (wants_hidden or wants_weight or wants_bias):
                continue
            # d(nll)/d(logits) = softmax - one hot, weighted
            grad = logits.sub_(norm).exp_().scatter_add_(1, labels, -torch.ones_like(norm)).mul_(weights).to(hidden_NH.dtype)
            if grad_hidden is not None:
                torch.matmul(grad, weight_VH, out=grad_hidden[part])
            if grad_weight is not None:
                grad_weight.addmm_(grad.t(), hidden_NH[part])
            if grad_bias is not None:
                grad_bias += grad.sum(0)
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        scale = grads[0]
        hidden, weight, bias = (None if saved is None else saved * scale.to(saved.dtype) for saved in ctx.saved_tensors)
        return hidden, weight, bias, None, None


def linear_cross_entropy(hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, labels_N: Tensor, weights_N: Tensor) -> Tensor:
    """Weighted sum of -log softmax(hidden W' + bias)[label], in nats.

    Args:
        hidden_NH: hidden states at scored positions. `weight_VH`, `bias_V`: the head.
        labels_N: int64. `weights_N`: float, no gradient.
    Returns: scalar, float32 (float64 for float64 input).
    """
    total: Tensor = _LinearCrossEntropy.apply(hidden_NH, weight_VH, bias_V, labels_N, weights_N)  # type: ignore[no-untyped-call]
    return total
