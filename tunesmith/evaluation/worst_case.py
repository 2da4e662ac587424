"""The score of rows that were asked in several ways: as they are, and the worst of all ways.

n rows    k ways
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.core.statistics import Interval, bootstrap, wilson
from tunesmith.core.types import Example, Metric, Output

__all__ = ["Array", "row_values", "worst_case", "worst_rows"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def row_values(metric: Metric, examples: Sequence[Example], outputs: Sequence[Output], references: Sequence[str]) -> Array:
    """The metric of each row alone, shape (n,): for metrics that are a mean over rows, such as accuracy, and those that one row has (chrF, ROUGE)."""
    stats = [metric.stats(*row) for row in zip(examples, outputs, references, strict=True)]
    return np.array([metric.value(np.array([row], dtype=np.float64)) for row in stats])


def worst_rows(values: Mapping[str, Array], *, higher_is_better: bool) -> Array:
    """Of each row the worst value of all ways, shape (n,). Raises: ValueError, where there is no way, or the numbers of rows differ."""
    if not values:
        raise ValueError("no values")
    values_kn = np.stack(list(values.values()))
    return np.asarray(values_kn.min(0) if higher_is_better else values_kn.max(0))


def worst_case(metric: Metric, values: Mapping[str, Array], groups: Sequence[Hashable] | None, *, seed: int) -> Interval:
    """The mean over rows of the worst value that each has in any of the ways, the row as it is among them: never better than the plain score.

    Args:
        values: of each way the `row_values` of the metric, one that has a better side.
        groups: one key a row, as `groups_of` makes them; None: every row stands alone.
    Returns: the 95 % interval is Wilson's for a proportion of rows that stand alone, else the bootstrap's.
    Source: Liang et al. (2022), "Holistic Evaluation of Language Models", https://arxiv.org/abs/2211.09110, section 4.5.
    """
    assert metric.higher_is_better is not None
    worst_n = worst_rows(values, higher_is_better=metric.higher_is_better)
    if metric.is_proportion and groups is None:
        return wilson(round(float(worst_n.sum())), len(worst_n))
    return bootstrap(worst_n[:, None], _mean, seed=seed, groups=groups)


def _mean(values_n1: Array) -> float:
    return float(values_n1.mean())
