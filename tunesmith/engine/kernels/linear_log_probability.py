"""Log-probabilities of labels through the vocabulary head, and entropies, without ever holding the logits of all positions.

    z_n = W h_n + b    p_n = softmax(z_n)    l_n = log p_n[label_n]    H_n = - sum over v of p_n[v] log p_n[v]

What a loss makes of l_n is known in the backward pass only, but what l_n says of h_n does not depend on it:

    d l_n / d h_n = (onehot(label_n) - p_n) W

It is made in the forward pass, while the logits stand, and scaled in the backward pass: (N, H) numbers are kept, and the vocabulary is met once.
Logits are made a second time only where the head itself trains, as its gradient is a sum over n of what came back, and where something came back
to the entropies. An entropy that is only looked at costs its sum:

    d H_n / d z_n = - p_n (log p_n + H_n)

N scored positions    H hidden size    V vocabulary
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tunesmith.engine.kernels.linear import times
from tunesmith.engine.kernels.linear_cross_entropy import add_weight_gradient, head_logits, positions_at_a_time

__all__ = ["linear_log_probability"]

_ROWS = 16
"""Rows whose logits and exponentials stand side by side."""


class _LinearLogProbability(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, labels_N: Tensor, with_entropy: bool
    ) -> tuple[Tensor, Tensor]:
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        accurate = torch.promote_types(hidden_NH.dtype, torch.float32)
        head_VH = weight_VH.to(hidden_NH.dtype)
        logprobs_N, entropies_N = (hidden_NH.new_zeros(len(hidden_NH), dtype=accurate) for _ in range(2))
        slope_NH = torch.empty_like(hidden_NH) if wants_hidden else None
        for part in _parts(hidden_NH, head_VH):
            labels = labels_N[part, None]
            shifted = _below_the_largest(head_logits(hidden_NH[part], head_VH, bias_V, accurate))
            labelled = shifted.gather(1, labels)
            entropies = entropies_N[part] if with_entropy else None
            exponentials, sums = _exponentials(shifted, entropies)
            logprobs_N[part] = (labelled - sums.log())[:, 0]
            if slope_NH is not None:
                slope = _less(exponentials.div_(sums), labels)
                slope_NH[part] = times(slope.to(hidden_NH.dtype), head_VH)
                del slope
            del shifted, exponentials  # or the next ones are made while these stand
        again = wants_weight or wants_bias or with_entropy
        ctx.save_for_backward(slope_NH, entropies_N, *((hidden_NH, weight_VH, bias_V, labels_N) if again else ()))
        ctx.set_materialize_grads(False)
        if not with_entropy:
            ctx.mark_non_differentiable(entropies_N)
        return logprobs_N, entropies_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        slope_NH, entropies_N, *given = ctx.saved_tensors
        of_logprobs, of_entropies = grads
        hidden, weight, bias = None, None, None
        if (of_logprobs is not None and (wants_weight or wants_bias)) or of_entropies is not None:
            wanted = (wants_hidden and of_entropies is not None, wants_weight, wants_bias)
            hidden, weight, bias = _made_again(given, entropies_N, grads, wanted)
        if wants_hidden and of_entropies is None and of_logprobs is not None:
            hidden = (slope_NH * of_logprobs[:, None]).to(slope_NH.dtype)
        return hidden, weight, bias, None, None


def _made_again(
    given: Sequence[Any], entropies_N: Tensor, grads: tuple[Tensor | None, ...], wanted: tuple[bool, bool, bool]
) -> list[Tensor | None]:
    """The gradients of hidden states, weight and bias, each where it is wanted, from logits that are made anew.

    Args:
        given: hidden states, weight, bias and labels.
    """
    hidden_NH, weight_VH, bias_V, labels_N = given
    accurate, (of_logprobs, of_entropies) = entropies_N.dtype, grads
    head_VH = weight_VH.to(hidden_NH.dtype)
    grad_hidden = torch.empty_like(hidden_NH) if wanted[0] else None
    grad_weight = torch.zeros_like(weight_VH, dtype=accurate) if wanted[1] else None
    grad_bias = torch.zeros_like(bias_V, dtype=accurate) if wanted[2] and bias_V is not None else None
    for part in _parts(hidden_NH, head_VH):
        shifted = _below_the_largest(head_logits(hidden_NH[part], head_VH, bias_V, accurate))
        exponentials = shifted.exp() if of_entropies is not None else shifted.exp_()
        sums = exponentials.sum(1, keepdim=True)
        p = exponentials.div_(sums)
        if of_entropies is not None:
            grad = shifted.sub_(sums.log() - entropies_N[part, None]).mul_(p).mul_(-of_entropies[part, None])
            if of_logprobs is not None:
                grad += _less(p, labels_N[part, None]).mul_(of_logprobs[part, None])
        else:
            assert of_logprobs is not None
            grad = _less(p, labels_N[part, None]).mul_(of_logprobs[part, None])
        if grad_bias is not None:
            grad_bias += grad.sum(0)
        grad = grad.to(hidden_NH.dtype)
        if grad_hidden is not None:
            grad_hidden[part] = times(grad, head_VH)
        if grad_weight is not None:
            add_weight_gradient(grad, hidden_NH[part], grad_weight)
        del shifted, exponentials, p, grad
    found = zip((grad_hidden, grad_weight, grad_bias), (hidden_NH, weight_VH, bias_V), strict=True)
    return [None if made is None or given is None else made.to(given.dtype) for made, given in found]


def _parts(hidden_NH: Tensor, head_VH: Tensor) -> list[slice]:
    """The positions whose logits stand at a time."""
    chunk = positions_at_a_time(len(head_VH), hidden_NH.device)
    return [slice(start, start + chunk) for start in range(0, len(hidden_NH), chunk)]


def _exponentials(shifted_NV: Tensor, entropies_N: Tensor | None) -> tuple[Tensor, Tensor]:
    """exp of what `_below_the_largest` made, in its place, and the sums of its rows, (N, 1); the entropies of its rows are left in `entropies_N`, a few rows at a time."""
    if entropies_N is None:
        exponentials_NV = shifted_NV.exp_()
        return exponentials_NV, exponentials_NV.sum(1, keepdim=True)
    sums_N1 = shifted_NV.new_empty(len(shifted_NV), 1)
    for start in range(0, len(shifted_NV), _ROWS):
        rows = slice(start, start + _ROWS)
        shifted = shifted_NV[rows]
        exponentials = shifted.exp()
        sums_N1[rows] = sums = exponentials.sum(1, keepdim=True)
        entropies_N[rows] = sums[:, 0].log() - shifted.mul_(exponentials).sum(1) / sums[:, 0]
        shifted.copy_(exponentials)
    return shifted_NV, sums_N1


def _below_the_largest(logits_NV: Tensor) -> Tensor:
    """Each row's logits less their largest, in place: none of their exponentials overflows."""
    return logits_NV.sub_(logits_NV.amax(1, keepdim=True))


def _less(p_NV: Tensor, labels_N1: Tensor) -> Tensor:
    """onehot(label) - p, in place of p."""
    return p_NV.neg_().scatter_add_(1, labels_N1, torch.ones_like(labels_N1, dtype=p_NV.dtype))


def linear_log_probability(
    hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, labels_N: Tensor, *, with_entropy: bool = False
) -> tuple[Tensor, Tensor]:
    """log softmax(hidden W' + bias)[label] and the entropy of each softmax, in nats.

    Args:
        hidden_NH: hidden states at scored positions; products are made of numbers of its dtype, logits are summed in at least float32.
        weight_VH: the head, with `bias_V`, in the same dtype or a finer one.
        labels_N: int64.
        with_entropy: else the second result is zeros, which carry no gradient. A gradient that comes back to it takes a second tensor of a chunk's logits.
    Returns: each (N,), float32 (float64 for float64 input).
    """
    if not torch.is_grad_enabled():
        hidden_NH = hidden_NH.detach()
    found: tuple[Tensor, Tensor] = _LinearLogProbability.apply(hidden_NH, weight_VH, bias_V, labels_N, with_entropy)  # type: ignore[no-untyped-call]
    return found
