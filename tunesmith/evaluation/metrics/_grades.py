"""What the metrics of graded answers share: of each attribute what people said, where they said it, and what the model did."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.core.types import Example, Graded, Output

__all__ = ["attribute_stats", "by_attribute", "graded", "mean_of_known", "named"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def graded(example: Example, attributes: Sequence[str]) -> dict[str, float | None]:
    """The grades of the attributes, of all where none are named; None where one is missing."""
    assert isinstance(example, Graded)
    found = dict(example.grades)
    return {name: found.get(name) for name in attributes or found}


def attribute_stats(example: Example, output: Output, attributes: Sequence[str]) -> tuple[float, ...]:
    """For each attribute 1, the true grade and the one that was said, and zeros where the true one is missing."""
    said, stats = output.grades or {}, list[float]()
    for name, true in graded(example, attributes).items():
        stats += (0.0, 0.0, 0.0) if true is None else (1.0, true, said.get(name, float("nan")))
    return tuple(stats)


def by_attribute(stats_nk: Array) -> list[tuple[Array, Array]]:
    """For each attribute the true grades and those that were said, of the rows that have it."""
    return [(part[part[:, 0] > 0, 1], part[part[:, 0] > 0, 2]) for part in np.split(stats_nk, stats_nk.shape[1] // 3, axis=1)]


def mean_of_known(values: Sequence[float]) -> float:
    """The mean of those that are numbers; not a number where none is."""
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else float("nan")


def named(values: Sequence[float], attributes: Sequence[str]) -> Mapping[str, float]:
    """The values that are numbers by the attributes' names; nothing where these are not known."""
    return {name: value for name, value in zip(attributes, values, strict=False) if value == value}
