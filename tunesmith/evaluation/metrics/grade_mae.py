"""Mean absolute error of grades, in the unit of the data, the mean over the attributes; that of each stands beside it.

From 0; lower is better. Missing grades are left out. Attributes on different scales are best read one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._grades import attribute_stats, by_attribute, graded, mean_of_known, named

__all__ = ["GradeMAE"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class GradeMAE:
    """Mean over attributes of the mean absolute error."""

    attributes: tuple[str, ...] = ()
    """Those that count; none: all."""

    needs: ClassVar[Literal["grades"]] = "grades"
    higher_is_better: ClassVar[bool] = False
    is_proportion: ClassVar[bool] = False

    def applies(self, example: Example, reference: str) -> bool:
        """Where people gave a grade."""
        return any(grade is not None for grade in graded(example, self.attributes).values())

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Of each attribute whether it has a grade, the true one and the one that was said."""
        return attribute_stats(example, output, self.attributes)

    def value(self, stats_nk: Array) -> float:
        """Mean over the attributes that have grades."""
        return mean_of_known(_errors(stats_nk))

    def details(self, stats_nk: Array) -> Mapping[str, float]:
        """That of each attribute."""
        return named(_errors(stats_nk), self.attributes)


def _errors(stats_nk: Array) -> list[float]:
    return [float(np.abs(true - said).mean()) if len(true) else float("nan") for true, said in by_attribute(stats_nk)]
