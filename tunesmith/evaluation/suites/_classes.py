"""Metrics of true and predicted classes, of what lm-eval has of each row: the places of both among the choices.

They equal scikit-learn's, which lm-eval calls, but are fast enough for the thousands of times that an interval asks for them.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from tunesmith.core import registry

__all__ = ["F1", "MACRO_F1", "MCC", "likeliest", "metric"]

Pairs = Sequence[tuple[int, int]]


@cache
def metric(name: str) -> Any:
    """A metric of tunesmith's, made once."""
    return registry.create("metric", name)


def likeliest(results: Sequence[tuple[float, bool]]) -> int:
    """The place of the choice with the highest log-likelihood, of what lm-eval hands to `process_results`."""
    return max(range(len(results)), key=lambda place: results[place][0])


def _f1(items: Pairs) -> float:
    true, said = np.array(items).T == 1
    return float(metric("f1").value(np.stack([true & said, true, said], axis=1)))


def _macro_f1(items: Pairs) -> float:
    return float(metric("macro_f1").value(np.array(items)))


def _mcc(items: Pairs) -> float:
    return float(metric("mcc").value(np.array(items)))


F1: Mapping[str, Any] = {"metric": "f1", "aggregation": _f1, "higher_is_better": True}
"""Of the second class, as an entry of a definition's `metric_list`."""
MACRO_F1: Mapping[str, Any] = {"metric": "f1", "aggregation": _macro_f1, "higher_is_better": True}
"""The mean over the classes."""
MCC: Mapping[str, Any] = {"metric": "mcc", "aggregation": _mcc, "higher_is_better": True}
