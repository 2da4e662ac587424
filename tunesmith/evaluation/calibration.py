"""Calibration: whether a model is right as often as it is sure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.core.statistics import Interval, wilson
from tunesmith.core.types import Output

__all__ = ["NUM_BINS", "Bin", "bin_of", "pair_reliability", "reliability", "sure_and_right"]

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
    return _binned([sure_and_right(*row) for row in zip(outputs, references, strict=True)])


def pair_reliability(outputs: Sequence[Output], ranks: Sequence[Sequence[int]]) -> list[Bin]:
    """The same of pairs of answers of different rank: how sure a model is of the one that it likes better, s(difference of the scores), and whether people liked it better.

    Args:
        ranks: of each output's answers, the lower the better.
    """
    found = list[tuple[float, float]]()
    for output, own in zip(outputs, ranks, strict=True):
        scores = output.scores or ()
        pairs = [(scores[i] - scores[j]) for i in range(len(scores)) for j in range(len(scores)) if own[i] < own[j]]
        # a model without an opinion is right half of the time
        found += [(1 / (1 + math.exp(-min(abs(gap), 700.0))), 0.5 if gap == 0 else float(gap > 0)) for gap in pairs]
    return _binned(found) if found else []


def _binned(rows: Sequence[tuple[float, float]]) -> list[Bin]:
    """`rows`: of each how sure the model was, and 1 where it was right, 0 where it was not, a half where it said nothing."""
    sure_n, right_n = np.array(rows).T
    bins_n = bin_of(sure_n)
    found = []
    for place in np.unique(bins_n).tolist():
        rows_n = bins_n == place
        count = int(rows_n.sum())
        right = wilson(round(float(right_n[rows_n].sum())), count)
        found.append(Bin(place / NUM_BINS, (place + 1) / NUM_BINS, count, float(sure_n[rows_n].mean()), right))
    return found
