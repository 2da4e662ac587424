"""What the tests of the C kernels share: when they run, and attention by its formula."""

import itertools

import pytest
import torch
from torch import Tensor

from tunesmith.engine.kernels.native import kernels, why_none

__all__ = ["attention", "needs_kernels", "relative"]

needs_kernels = pytest.mark.skipif(kernels() is None, reason=f"no kernels on this machine: {why_none()}")


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm())


def attention(q: Tensor, k: Tensor, v: Tensor, bounds: list[int], is_causal: bool, scale: float) -> Tensor:
    """Softmax attention by its formula, segment by segment."""
    repeats, parts = q.shape[1] // k.shape[1], []
    for start, end in itertools.pairwise(bounds):
        one_q, one_k, one_v = (x[:, :, start:end] for x in (q, k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)))
        scores = one_q @ one_k.mT * scale
        if is_causal:
            scores = scores.masked_fill(torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1), float("-inf"))
        parts.append(scores.softmax(-1) @ one_v)
    return torch.cat(parts, 2).transpose(1, 2)
