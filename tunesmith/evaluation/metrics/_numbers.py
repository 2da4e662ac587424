"""Ranks of numbers."""

from typing import Any

import numpy as np

__all__ = ["ranks"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def ranks(values_n: Array) -> Array:
    """1 for the smallest; equal numbers share the mean of their ranks."""
    _, place, counts = np.unique(values_n, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return (last - (counts - 1) / 2)[place]
