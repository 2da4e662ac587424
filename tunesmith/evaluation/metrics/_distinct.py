"""How much of a text says something new."""

from typing import Any

import numpy as np

__all__ = ["distinct_and_all", "distinct_share"]


def distinct_and_all(text: str, order: int) -> tuple[float, float]:
    """Different and all runs of `order` words, parted by white space, in lower case."""
    words = text.lower().split()
    runs = [tuple(words[start : start + order]) for start in range(len(words) - order + 1)]
    return float(len(set(runs))), float(len(runs))


def distinct_share(stats_n2: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """NaN where no text is so long."""
    different, total = stats_n2.sum(axis=0)
    return float(different / total) if total else float("nan")
