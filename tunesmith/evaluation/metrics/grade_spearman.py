"""Spearman's correlation of the grades that are said with the true ones, the mean over the attributes; that of each stands beside it.

Between -1 and 1, and 0 for an attribute of which the same is said of every answer. Missing grades are left out, and attributes whose true grades are all equal: where none is left, it is not a number.
Source: Spearman (1904), "The Proof and Measurement of Association between Two Things", https://doi.org/10.2307/1412159.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._grades import attribute_stats, by_attribute, graded, mean_of_known, named
from tunesmith.evaluation.metrics._numbers import ranks

__all__ = ["GradeSpearman"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class GradeSpearman:
    """Mean over attributes of the correlation of ranks."""

    attributes: tuple[str, ...] = ()
    """Those that count; none: all."""

    needs: ClassVar[Literal["grades"]] = "grades"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def applies(self, example: Example, reference: str) -> bool:
        """Where people gave a grade."""
        return any(grade is not None for grade in graded(example, self.attributes).values())

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Of each attribute whether it has a grade, the true one and the one that was said."""
        return attribute_stats(example, output, self.attributes)

    def value(self, stats_nk: Array) -> float:
        """Mean over the attributes that tell answers apart."""
        return mean_of_known(_correlations(stats_nk))

    def details(self, stats_nk: Array) -> Mapping[str, float]:
        """That of each attribute."""
        return named(_correlations(stats_nk), self.attributes)


def _correlations(stats_nk: Array) -> list[float]:
    return [_correlation(true, said) for true, said in by_attribute(stats_nk)]


def _correlation(true_n: Array, said_n: Array) -> float:
    if not len(true_n) or (true_n == true_n[0]).all() or np.isnan(said_n).any():
        return float("nan")
    centred = np.stack([ranks(true_n), ranks(said_n)]) - (len(true_n) + 1) / 2
    length = np.sqrt((centred**2).sum(axis=1)).prod()
    return float((centred[0] * centred[1]).sum() / length) if length > 0 else 0.0
