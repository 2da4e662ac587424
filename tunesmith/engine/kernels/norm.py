"""Root mean square normalization on the CPU in one pass, kept as its input and one number a row.

    y = w x / rms(x)        rms(x) = sqrt(mean(x x) + epsilon)        R rows    H hidden size

Source: Zhang & Sennrich (2019), "Root Mean Square Layer Normalization", https://arxiv.org/abs/1910.07467.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.errors import Interrupted
from tunesmith.engine.kernels.again import Again, NumMadeAgain, remember
from tunesmith.engine.kernels.native import eager_kernels, kernels
from tunesmith.engine.kernels.replaced import preceded

__all__ = ["use_fast_norms"]

_NEAR = 1e-5


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_RH: Tensor, weight_H: Tensor, epsilon: float, again: Again[Tensor], inverse_R: Tensor) -> Tensor:
        own = kernels()
        assert own is not None
        ctx.save_for_backward(x_RH, weight_H, inverse_R)
        ctx.again = again
        return own.rms_norm(x_RH, weight_H, epsilon, inverse_R)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        own = kernels()
        assert own is not None
        x_RH, weight_H, inverse_R = ctx.saved_tensors
        grad_RH = grads[0].contiguous()
        ctx.again.release()
        grad_w = (grad_RH * x_RH).mul_(inverse_R[:, None]).sum(0) if ctx.needs_input_grad[1] else None
        return own.rms_norm_backward(grad_RH, x_RH, weight_H, inverse_R) if ctx.needs_input_grad[0] else None, grad_w, None, None, None


class _Fused:
    """Comes before a model's own class of such layers; only `forward` differs."""

    weight: Tensor

    @property
    def num_made_again(self) -> NumMadeAgain:
        """What comes out."""
        return NumMadeAgain(norms=len(self.weight))

    def forward(self, hidden_states: Tensor, *beside: Any, **named: Any) -> Tensor:
        """As the model's own, which takes over where it reads more than what it normalizes."""
        own, x = eager_kernels(), hidden_states
        if beside or named:
            return super().forward(hidden_states, *beside, **named)  # type: ignore[misc,no-any-return]
        if own is None or torch.is_autocast_enabled(x.device.type) or not own.can_norm(x, self.weight):
            return super().forward(hidden_states)  # type: ignore[misc,no-any-return]
        epsilon, weight_H = _epsilon(self), self.weight
        x_RH = x.reshape(-1, x.shape[-1])
        inverse_R = x.new_empty(len(x_RH))
        if not torch.is_grad_enabled():
            return own.rms_norm(x_RH, weight_H, epsilon, inverse_R).view(x.shape)
        bare_x, bare_w = x_RH.detach(), weight_H.detach()
        again = Again(lambda: own.rms_norm(bare_x, bare_w, epsilon, inverse_R, is_known=True))
        y: Tensor = _RmsNorm.apply(x_RH, weight_H, epsilon, again, inverse_R)  # type: ignore[no-untyped-call]
        return remember(y.view(x.shape), again)


def _epsilon(layer: Any) -> float:
    return float(getattr(layer, "variance_epsilon", None) or getattr(layer, "eps", None) or 0.0)


def use_fast_norms(trunk: nn.Module) -> int:
    """Let every layer of `trunk` that normalizes this way, tried on random numbers, do it in one pass. Returns: how many there are."""
    count = 0
    for layer in trunk.modules():
        if _is_rms_norm(layer) and _agrees(layer):
            layer.__class__ = preceded(type(layer), _Fused)
            count += 1
    return count


def _is_rms_norm(layer: nn.Module) -> bool:
    weight = getattr(layer, "weight", None)
    return "RMSNorm" in type(layer).__name__ and not isinstance(layer, _Fused) and isinstance(weight, Tensor) and weight.dim() == 1


@torch.no_grad()
def _agrees(layer: Any) -> bool:
    own, draw = kernels(), torch.Generator().manual_seed(0)
    if own is None or not layer.weight.is_cpu:
        return False
    x_RH = torch.randn(3, len(layer.weight), generator=draw) * torch.tensor([[1.0], [1e-4], [0.0]])  # small ones show the epsilon
    if not own.can_norm(x_RH, layer.weight):
        return False
    try:
        expected = layer(x_RH)
    except Interrupted:
        raise
    except Exception:  # whatever a model's own code raises: it reads something else beside
        return False
    found = own.rms_norm(x_RH, layer.weight, _epsilon(layer), x_RH.new_empty(3))
    return isinstance(expected, Tensor) and torch.allclose(found, expected, rtol=_NEAR, atol=_NEAR)
