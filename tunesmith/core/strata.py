"""The interval of a weighted mean over strata, each with rows of its own: a suite of many tasks.

H strata    n rows of a stratum    R resamples
"""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.core.power import detectable_mean
from tunesmith.core.statistics import Interval, clusters, percentiles, two_sided_p

__all__ = ["Average", "Strata", "stratified_bootstrap"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Strata:
    """What is averaged: the sum over strata of weight times score, divided by the sum of the weights."""

    sizes: Sequence[int]
    """Rows of each stratum, at least one."""
    weights: Sequence[float]
    scores: Sequence[Callable[[Array], float]]
    """The score of rows of a stratum, from their places in it, (n,)."""
    groups: Sequence[Sequence[Hashable] | None] = ()
    """A key a row of each stratum, where those that share theirs are drawn together; None, or nothing at all: every row stands alone."""

    def __post_init__(self) -> None:
        if not len(self.sizes) == len(self.weights) == len(self.scores) > 0 or min(self.sizes) < 1:
            raise ValueError("a stratum has at least one row, a weight and a score")
        if self.groups and [len(keys) if keys else size for keys, size in zip(self.groups, self.sizes, strict=True)] != list(self.sizes):
            raise ValueError("a stratum has a key for each of its rows, or none")


@dataclass(frozen=True, slots=True)
class Average:
    """A weighted mean over strata."""

    interval: Interval
    p: float
    """Two-sided, of its being zero."""
    detectable: float
    """The smallest mean that so many rows tell from zero four times in five (`core/power.py`); NaN where that is not known."""


def stratified_bootstrap(strata: Strata, *, seed: int, resamples: int = 2000, level: float = 0.95) -> Average:
    """The average with its percentile interval, rows drawn within each stratum.

    Of n rows, or groups of them, n - 1 are drawn: with n of them the variance would come out too small by (n - 1) / n, which matters where strata have
    few. Strata of one say nothing of their own spread: their weighted scores are drawn from each other, which counts the differences between strata too.
    All but the value is NaN where there is nothing to draw from: a single row or group in all, or one beside strata of several.
    Source: Rao, Wu (1988), "Resampling inference with complex survey data", https://doi.org/10.1080/01621459.1988.10478591; Wolter (2007), "Introduction to Variance Estimation", sect. 2.5,
    for strata of one; p as in `statistics.paired_bootstrap`.
    """
    rng = np.random.default_rng(seed)
    shares = np.array(strata.weights, dtype=np.float64) / sum(strata.weights)
    every = [score(np.arange(size, dtype=np.float64)) for score, size in zip(strata.scores, strata.sizes, strict=True)]
    value = float(shares @ every)
    units = [clusters(keys or range(size)) for keys, size in zip(strata.groups or [None] * len(strata.sizes), strata.sizes, strict=True)]
    alone = [h for h, rows_of in enumerate(units) if len(rows_of) == 1]
    if len(alone) == 1:
        return Average(Interval(value, math.nan, math.nan), math.nan, math.nan)
    values_R = np.zeros(resamples)
    for h, rows_of in enumerate(units):
        if len(rows_of) > 1:
            values_R += shares[h] * np.array([strata.scores[h](drawn_n) for drawn_n in _drawn(rows_of, resamples, rng)])
    if alone:
        parts = shares[alone] * np.array(every)[alone]
        drawn_RG = parts[rng.integers(len(alone), size=(resamples, len(alone) - 1))]
        values_R += drawn_RG.sum(1) * len(alone) / (len(alone) - 1)
    low, high = percentiles(values_R, level)
    if math.isnan(low):
        return Average(Interval(value, low, high), math.nan, math.nan)
    return Average(Interval(value, low, high), two_sided_p(values_R), detectable_mean(float(values_R.std(ddof=1)), level))


def _drawn(rows_of: Sequence[np.ndarray[Any, np.dtype[np.intp]]], resamples: int, rng: np.random.Generator) -> Iterator[Array]:
    """The places of the rows of each resample: all groups but one, drawn with replacement."""
    drawn_Rg = rng.integers(len(rows_of), size=(resamples, len(rows_of) - 1))
    if max(map(len, rows_of)) == 1:
        yield from drawn_Rg.astype(np.float64)
        return
    for drawn_g in drawn_Rg:
        yield np.concatenate([rows_of[group] for group in drawn_g]).astype(np.float64)
