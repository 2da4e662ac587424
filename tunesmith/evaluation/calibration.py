"""Calibration: whether a model is right as often as it is sure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.core.statistics import Interval, wilson
from tunesmith.core.types import Output

__all__ = ["NUM_BINS", "Bin", "bin_of", "reliability", "sure_and_right"]

NUM_BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows of which the model was about as sure."""

    low: float
    high: float
    """The probabilities that fall into it: above `low`, up to `high`."""
    rows: int
    sure: float
    """Mean probability of the label that was said."""
    right: Interval
    """Share of them that are right."""


def sure_and_right(output: Output, reference: str) -> tuple[float, float]:
    """Probability of the label that was said, and 1 where it is the true one, else 0."""
    return max(output.probabilities), float(output.label == reference)


def bin_of(sure_n: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The bin of each probability: ten of equal width, closed above.

    Source: Guo et al. (2017), "On Calibration of Modern Neural Networks", https://arxiv.org/abs/1706.04599, section 2.
    """
    places_n: np.ndarray[Any, np.dtype[np.int64]] = np.ceil(sure_n * NUM_BINS).clip(1, NUM_BINS).astype(np.int64) - 1
    return places_n


def reliability(outputs: Sequence[Output], references: Sequence[str]) -> list[Bin]:
    """The bins that hold rows, from the least sure one on; empty where an output has no probabilities."""
    if not outputs or not all(output.probabilities for output in outputs):
        return []
    sure_n, right_n = np.array([sure_and_right(*row) for row in zip(outputs, references, strict=True)]).T
    bins_n = bin_of(sure_n)
    found = []
    for place in np.unique(bins_n).tolist():
        rows_n = bins_n == place
        count = int(rows_n.sum())
        right = wilson(int(right_n[rows_n].sum()), count)
        found.append(Bin(place / NUM_BINS, (place + 1) / NUM_BINS, count, float(sure_n[rows_n].mean()), right))
    return found
