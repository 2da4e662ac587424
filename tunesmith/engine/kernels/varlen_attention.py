"""Attention inside the segments of a packed stream on a GPU: torch's FlashAttention for sequences of unequal length. Forward, backward, one call each.

T tokens of the stream    S segments    h heads    k key heads    d head size
"""

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn

__all__ = ["NO_BOUND", "attends_varlen", "fits_varlen", "varlen_attention"]

NO_BOUND = -1
_LEAST_CAPABILITY = (8, 0)
_MOST_HEAD_SIZE = 256


def attends_varlen(device: torch.device) -> bool:
    """Whether torch's kernel runs on the device: NVIDIA GPUs from Ampere on."""
    return device.type == "cuda" and torch.version.hip is None and torch.cuda.get_device_capability(device) >= _LEAST_CAPABILITY


def fits_varlen(q: Tensor, v: Tensor) -> bool:
    """Whether the kernel takes such heads."""
    size = q.shape[-1]
    return q.dtype in (torch.bfloat16, torch.float16) and size == v.shape[-1] and size % 8 == 0 and size <= _MOST_HEAD_SIZE


def varlen_attention(q: Tensor, k: Tensor, v: Tensor, offsets_S1: Tensor, longest: int, window: tuple[int, int], scale: float) -> Tensor:
    """Each token attends inside its segment.

    Args:
        q: (1, h, T, d), bfloat16 or float16. `k`, `v`: (1, k, T, d), h a multiple of k.
        offsets_S1: of the segments into T, int32, where q is.
        longest: tokens of the longest segment.
        window: how many tokens before and after itself a token sees; NO_BOUND for all of them.
        scale: of the scores.
    Returns: (1, T, h, d).
    """
    q, k, v = (x[0].transpose(0, 1) for x in (q, k, v))
    is_grouped = q.shape[1] != k.shape[1]
    out = varlen_attn(q, k, v, offsets_S1, offsets_S1, longest, longest, scale=scale, window_size=window, enable_gqa=is_grouped)
    assert isinstance(out, Tensor)  # a second output was not asked for
    return out[None]
