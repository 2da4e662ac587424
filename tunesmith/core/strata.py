"""The interval of a weighted mean over strata, each with rows of its own: a suite of many tasks.

H strata    n rows of a stratum    R resamples
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.core.statistics import Interval, percentiles, two_sided_p

__all__ = ["Strata", "stratified_bootstrap"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Strata:
    """What is averaged: the sum over strata of weight times score, divided by the sum of the weights."""

    sizes: Sequence[int]
    """Rows of each stratum, at least one."""
    weights: Sequence[float]
    scores: Sequence[Callable[[Array], float]]
    """The score of rows of a stratum, from their places in it, (n,)."""

    def __post_init__(self) -> None:
        if not len(self.sizes) == len(self.weights) == len(self.scores) > 0 or min(self.sizes) < 1:
            raise ValueError("a stratum has at least one row, a weight and a score")


def stratified_bootstrap(strata: Strata, *, seed: int, resamples: int = 2000, level: float = 0.95) -> tuple[Interval, float]:
    """The average with its percentile interval, rows drawn within each stratum, and the two-sided p-value of its being zero.

    Of n rows n - 1 are drawn: with n of them the variance would come out too small by (n - 1) / n, which matters where strata have few rows. Strata
    of one row say nothing of their own spread: their weighted scores are drawn from each other, which counts the differences between strata too.
    Bounds and p are NaN where there is nothing to draw from: a single row in all, or one beside strata of several.
    Source: Rao, Wu (1988), "Resampling inference with complex survey data", https://doi.org/10.1080/01621459.1988.10478591; Wolter (2007), "Introduction to Variance Estimation", sect. 2.5,
    for strata of one row; p as in `statistics.paired_bootstrap`.
    """
    rng = np.random.default_rng(seed)
    shares = np.array(strata.weights, dtype=np.float64) / sum(strata.weights)
    every = [score(np.arange(size, dtype=np.float64)) for score, size in zip(strata.scores, strata.sizes, strict=True)]
    value = float(shares @ every)
    alone = [h for h, size in enumerate(strata.sizes) if size == 1]
    if len(alone) == 1:
        return Interval(value, math.nan, math.nan), math.nan
    values_R = np.zeros(resamples)
    for h, size in enumerate(strata.sizes):
        if size > 1:
            drawn_Rn = rng.integers(size, size=(resamples, size - 1)).astype(np.float64)
            values_R += shares[h] * np.array([strata.scores[h](drawn_n) for drawn_n in drawn_Rn])
    if alone:
        parts = shares[alone] * np.array(every)[alone]
        drawn_RG = parts[rng.integers(len(alone), size=(resamples, len(alone) - 1))]
        values_R += drawn_RG.sum(1) * len(alone) / (len(alone) - 1)
    low, high = percentiles(values_R, level)
    return Interval(value, low, high), math.nan if math.isnan(low) else two_sided_p(values_R)
