"""Differences of two finished runs on the same test rows, from what each row contributed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from tunesmith.core.significance import SIGNIFICANT_P
from tunesmith.core.types import Metric
from tunesmith.evaluation.score import paired

__all__ = ["Verdict", "paired_difference", "verdict"]

Verdict = Literal["better", "worse", "unclear"]


def paired_difference(metric: Metric, first: Mapping[str, Sequence[Any]], other: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """`{value, low, high, p, test}` of other minus first.

    Args:
        first, other: `row`, names of test rows, and `tuned`, what each contributed; rows that share a name are drawn together.
    Raises: ValueError, where the rows are not the same.
    """
    if sorted(first["row"]) != sorted(other["row"]):
        raise ValueError("the two have other test rows")
    place = {name: at for at, name in enumerate(dict.fromkeys(first["row"]))}
    names = sorted(first["row"], key=place.__getitem__)
    groups = names if len(place) < len(names) else None
    return asdict(paired(metric, _in_order(first, place), _in_order(other, place), groups, seed=0).difference)


def _in_order(found: Mapping[str, Sequence[Any]], place: Mapping[str, int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    ranked = sorted(range(len(found["row"])), key=lambda at: place[found["row"][at]])
    return np.array([found["tuned"][at] for at in ranked], dtype=np.float64)  # None becomes NaN


def verdict(difference: Mapping[str, Any], higher_is_better: bool | None, p: float | None = None) -> Verdict:
    """What a difference warrants: clear where its interval leaves zero out and `p`, its own unless given, is below 0.05.

    NaN makes nothing clear, and of a metric of which more is neither better nor worse (None) nothing is.
    """
    p = difference["p"] if p is None else p
    low, high = difference["low"], difference["high"]
    if higher_is_better is None or not (p < SIGNIFICANT_P and (low > 0 or high < 0)):
        return "unclear"
    return "better" if (difference["value"] > 0) == higher_is_better else "worse"
