"""Matrix products of small numbers that are rounded once, at their end."""

import torch
from torch import Tensor

__all__ = ["product"]


def product(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """a b, two matrices of one dtype, summed and returned in `dtype`: gradients of float32 weights from factors in bfloat16."""
    if a.dtype == dtype:
        return a @ b
    if a.is_cuda and dtype == torch.float32:
        return torch.mm(a, b, out_dtype=dtype)
    return a.to(dtype) @ b.to(dtype)  # a CPU has no such product
