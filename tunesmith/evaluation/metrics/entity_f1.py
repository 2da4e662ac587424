"""Entity F1: the F1 score of whole entities, right where the kind and both ends are.

Between 0 and 1. Tags may say where an entity begins and goes on (B-, I-, E-, L-, S-, U- before its kind, and O outside); an entity
also begins where the kind changes, as in the CoNLL script. A tag without such a prefix is an entity of one word, so that for parts of
speech this is the share of right tags.
Source: Tjong Kim Sang, De Meulder (2003), "Introduction to the CoNLL-2003 Shared Task", https://arxiv.org/abs/cs/0306050.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output, Tagged
from tunesmith.evaluation.metrics._entities import entities

__all__ = ["EntityF1"]


@dataclass(frozen=True, kw_only=True)
class EntityF1:
    """2 right / (true + predicted), over the entities of all rows."""

    needs: ClassVar[Literal["label", "labels", "tags", "number", "span", "text", "nll"]] = "tags"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """How many entities are right, true, and predicted."""
        assert isinstance(example, Tagged)
        true, said = entities(example.tags or ()), entities(output.tags or ())
        return float(len(true & said)), float(len(true)), float(len(said))

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """NaN where there is no entity and none is predicted."""
        right, true, said = stats_nk.sum(axis=0)
        return float(2 * right / (true + said)) if true + said > 0 else float("nan")
