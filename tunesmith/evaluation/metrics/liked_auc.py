"""Liked AUC: the probability that an answer that people liked has a higher score than one that they did not.

Between 0 and 1; equal scores count half, and 0.5 is no skill. NaN where all were liked, or none.
Source: Hanley, McNeil (1982), "The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC) Curve".
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output, Unpaired
from tunesmith.evaluation.metrics._numbers import ranks

__all__ = ["LikedAUC"]


@dataclass(frozen=True, kw_only=True)
class LikedAUC:
    """Area under the curve of liked against other answers."""

    needs: ClassVar[Literal["liked"]] = "liked"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """The score, and 1 where it was liked."""
        assert isinstance(example, Unpaired)
        assert output.liked is not None
        return output.liked, float(example.is_liked)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """From the ranks of the liked ones among all."""
        scores_n, liked_n = stats_nk[:, 0], stats_nk[:, 1] > 0
        num_liked, num_others = int(liked_n.sum()), int((~liked_n).sum())
        if not num_liked or not num_others:
            return float("nan")
        return float((ranks(scores_n)[liked_n].sum() - num_liked * (num_liked + 1) / 2) / (num_liked * num_others))
