"""Pair log loss: minus the log of the probability that the better answer of a pair wins, sigmoid(its score - the other's), in nats.

0 and up, lower is better; log 2 = 0.693 is no skill, and more than that is a model that is sure of the wrong one. It says what accuracy does not: whether a large
difference of scores is as sure as it looks.
Source: Bradley, Terry (1952), "Rank Analysis of Incomplete Block Designs".
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output
from tunesmith.evaluation.metrics._judged import is_ranked, judged_pairs

__all__ = ["PairLogLoss"]


@dataclass(frozen=True, kw_only=True)
class PairLogLoss:
    """Mean over pairs of - log sigmoid of the difference of scores."""

    needs: ClassVar[Literal["scores"]] = "scores"
    higher_is_better: ClassVar[bool] = False
    is_proportion: ClassVar[bool] = False

    def applies(self, example: Example, reference: str) -> bool:
        """Where answers were liked more and less."""
        return is_ranked(example)

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Nats over all pairs, and their number."""
        gaps = np.array(list(judged_pairs(example, output)))
        return float(np.logaddexp(0.0, -gaps).sum()), float(len(gaps))

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """Nats a pair."""
        nats, pairs = stats_nk.sum(0)
        return float(nats / pairs)
