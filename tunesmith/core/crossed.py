"""A metric over several seeds and the test rows, and what is made of several such, with intervals.

    S seeds    N test rows    K numbers that a row contributes to a metric

The same rows are asked with every seed, so that seeds and rows are crossed: each resample draws seeds and, apart from them, rows, with
replacement, and every seed sees the rows that were drawn. Rows that share their key are drawn together.

It gives rather too wide an interval than too narrow a one, but for the part of the seeds: two or three of them say little of how far others would
lie from them, and n seeds drawn from n have (n - 1) / n of their variance.
Source: Owen (2007), "The pigeonhole bootstrap", https://arxiv.org/abs/0712.1111.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tunesmith.core.statistics import Interval, Value, percentiles

__all__ = ["Stats", "contrast", "difference", "mean"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_RESAMPLES = 2000
_SEED = 0


@dataclass(frozen=True, slots=True)
class Stats:
    """What the test rows contributed under each seed."""

    by_seed: Mapping[int, Mapping[str, Sequence[Sequence[float]]]]
    """Seed -> key of a row -> what it contributed: one list of numbers a row, several where rows share the key."""

    @classmethod
    def of(cls, found: Mapping[int, Mapping[str, Any]], side: str = "tuned") -> "Stats":
        """From what was found under each seed: the keys under `row` and, under `side`, the numbers of each row; None among them is no number."""
        by_seed: dict[int, dict[str, list[Sequence[float]]]] = {}
        for seed, rows in found.items():
            by_row: dict[str, list[Sequence[float]]] = {}
            for key, stats in zip(rows["row"], rows[side], strict=True):
                by_row.setdefault(key, []).append([float("nan") if number is None else number for number in stats])
            by_seed[seed] = by_row
        return cls(by_seed)

    def rows(self, seeds: Sequence[int]) -> list[str]:
        """Keys of the rows that every one of the seeds has."""
        first, *others = (self.by_seed[seed] for seed in seeds)
        return [key for key in first if all(key in other for other in others)]

    def clusters(self, seeds: Sequence[int], keys: Sequence[str]) -> list[list[Array]]:
        """For each seed and key the rows, (rows of that key, K)."""
        return [[np.asarray(self.by_seed[seed][key], dtype=np.float64) for key in keys] for seed in seeds]


def mean(stats: Stats, value: Value) -> Interval:
    """The metric, its mean over the seeds, with the 95 % interval. Raises: ValueError, where there is no row."""
    return contrast([stats], [1.0], value)


def difference(ours: Stats, theirs: Stats, value: Value) -> Interval:
    """Ours minus theirs over the seeds and rows that both have. Raises: ValueError, where they share none."""
    return contrast([ours, theirs], [1.0, -1.0], value)


def contrast(sides: Sequence[Stats], weights: Sequence[float], value: Value) -> Interval:
    """The weighted sum of the sides' means over the seeds and rows that all have, with the 95 % interval.

    Its bounds are NaN where resampling says nothing. Raises: ValueError, where the sides share no row.
    """
    seeds = sorted(set.intersection(*(set(side.by_seed) for side in sides)))
    shared = [side.rows(seeds) for side in sides] if seeds else [[]]
    keys = [key for key in shared[0] if all(key in others for others in map(set, shared[1:]))]
    if not keys:
        raise ValueError("no test row that every seed, and both sides, have")
    tables = [[_Table(clusters) for clusters in side.clusters(seeds, keys)] for side in sides]

    def at(seeds_S: Sequence[int], rows_N: np.ndarray[Any, np.dtype[np.intp]] | None) -> float:
        counts = Counter(seeds_S)  # a seed that was drawn twice says the same twice
        sums = [sum(count * value(tables_S[seed].rows(rows_N)) for seed, count in counts.items()) for tables_S in tables]
        return float(sum(weight * found / len(seeds_S) for weight, found in zip(weights, sums, strict=True)))

    rng = np.random.default_rng(_SEED)
    found = [at(rng.integers(len(seeds), size=len(seeds)).tolist(), rng.integers(len(keys), size=len(keys))) for _ in range(_RESAMPLES)]
    low, high = percentiles(np.array(found), 0.95)
    return Interval(at(range(len(seeds)), None), low, high)


class _Table:
    """The rows of one seed, of which whole clusters are drawn."""

    def __init__(self, clusters: Sequence[Array]) -> None:
        self._all = np.concatenate(clusters)
        bounds = np.cumsum([0, *map(len, clusters)])
        self._rows = None if len(self._all) == len(clusters) else [np.arange(a, b) for a, b in pairwise(bounds)]

    def rows(self, drawn: np.ndarray[Any, np.dtype[np.intp]] | None) -> Array:
        """All rows, or those of the clusters that were drawn."""
        if drawn is None:
            return self._all
        return self._all[drawn if self._rows is None else np.concatenate([self._rows[cluster] for cluster in drawn])]
