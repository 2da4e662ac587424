"""F1 of the positive class: the harmonic mean of its precision and its recall.

Between 0 and 1; 0 where it is never said. The positive class is the last of the run's two, 1 of 0 and 1: the order is that of `data.labels`, else of the data.
Another is named with `{name: f1, positive: spam}`. It is measured only where `evaluate.metrics` names it. GLUE judges MRPC and QQP by it, SuperGLUE the answers of MultiRC (there called F1a).
Source: van Rijsbergen (1979), "Information Retrieval", chapter 7, with equal weights; Wang et al. (2018), "GLUE", https://arxiv.org/abs/1804.07461, section 3.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Output

__all__ = ["F1"]


@dataclass(frozen=True, kw_only=True)
class F1:
    """2 right / (true + predicted), of one class."""

    positive: str = ""
    """The class that is looked for; none: the last of two."""

    needs: ClassVar[Literal["label"]] = "label"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = False
    on_request: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """Whether the class is right, true, and predicted."""
        true, said = reference == self.positive, output.label == self.positive
        return float(true and said), float(true), float(said)

    def value(self, stats_nk: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """0 where the class is neither true nor predicted, as in scikit-learn."""
        right, true, said = stats_nk.sum(axis=0)
        return float(2 * right / (true + said)) if true + said > 0 else 0.0
