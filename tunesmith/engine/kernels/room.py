"""Room for what a layer makes, so that what is freed soon leaves no holes between what is kept.

To align a block at 64 bytes, as torch wants it, glibc looks for one that is 96 bytes larger, and gives the rest back. A block that was freed thus never serves a request of its own size:
what each layer makes and frees would leave a hole beside what it keeps for the backward pass, and the layer after it finds no use for it. All of them together are as large as half of
what is kept. So what is freed sooner gets a little more room, and what stays longer fits into its place.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

__all__ = ["BRIEF", "PASSING", "room_for"]

PASSING: Final = 1
"""Of what may be kept or not: what a linear layer makes."""
BRIEF: Final = 2
"""Of what is always freed inside its layer. Torch's own results are of rank 0: they fit into the place of either."""
_ALIGNMENT_BYTES = 128
"""A little more than glibc looks for: 64 for the alignment, 32 for the rest that is given back, 16 for its header."""


def room_for(shape: Sequence[int], like: Tensor, rank: int) -> Tensor:
    """A contiguous tensor of that shape, with nothing in it yet, and of the type and device of `like`. `rank`: `PASSING` or `BRIEF`."""
    more = rank * _ALIGNMENT_BYTES // like.element_size()
    return torch.empty(math.prod(shape) + more, dtype=like.dtype, device=like.device).resize_(tuple(shape))
