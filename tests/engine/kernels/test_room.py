"""What is freed soon makes room for what is kept: seen from outside, by where the next tensor comes to lie."""

import ctypes
import subprocess
import sys

import pytest
import torch

from tunesmith.engine.kernels.room import BRIEF, PASSING, room_for

_LAYERS = """
import ctypes, sys
import torch
from tunesmith.core.allocator import keep_freed_memory
from tunesmith.engine.kernels.room import BRIEF, PASSING, room_for
assert keep_freed_memory()
Found = type("Found", (ctypes.Structure,), {"_fields_": [(name, ctypes.c_size_t) for name in "abcdefghij"]})
mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Found
one, kept = torch.empty(300, 576), []
make = room_for if sys.argv[1] == "room" else lambda shape, like, rank: torch.empty(shape)
before = mallinfo().a
for _ in range(40):
    brief = make(one.shape, one, BRIEF)
    passing = make(one.shape, one, PASSING)
    kept.append(torch.empty_like(one))
    del brief
    kept.append(torch.empty_like(one))
    del passing
print((mallinfo().a - before) / (len(kept) * one.nbytes))
"""


def _grown(way: str) -> float:
    """By how much the heap grew, over what is kept in it."""
    return float(subprocess.run([sys.executable, "-c", _LAYERS, way], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc is not the allocator here, or is an old one")
def test_what_is_freed_leaves_no_holes_between_what_is_kept() -> None:
    assert _grown("room") < min(1.1, _grown("plain"))


@pytest.mark.parametrize("rank", [PASSING, BRIEF])
def test_room_is_a_tensor_like_any_other(rank: int) -> None:
    like = torch.ones(3, dtype=torch.float64)
    found = room_for((5, 7), like, rank)
    assert found.shape == (5, 7)
    assert found.stride() == (7, 1)
    assert found.dtype == like.dtype
    assert found.untyped_storage().nbytes() == 5 * 7 * 8 + 128 * rank
