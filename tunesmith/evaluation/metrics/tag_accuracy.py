"""Tag accuracy: the share of words whose predicted tag is the true one.

Between 0 and 1. Where most words are outside of all entities it is high for a model that finds none: entity_f1 is not.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output, Tagged

__all__ = ["TagAccuracy"]


@dataclass(frozen=True, kw_only=True)
class TagAccuracy:
    """Share of right tags."""

    needs: ClassVar[Literal["label", "labels", "tags", "number", "span", "text", "nll"]] = "tags"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """How many tags are right, and how many words there are."""
        assert isinstance(example, Tagged)
        true, said = example.tags or (), output.tags or ()
        return float(sum(a == b for a, b in zip(true, said, strict=True))), float(len(true))

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Right words over all words."""
        right, words = stats_nk.sum(axis=0)
        return float(right / words) if words else float("nan")
