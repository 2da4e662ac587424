"""Accuracy of choices: the share of questions whose right answer is the one that the model finds most probable.

Between 0 and 1. Each row is a question with one answer, labelled true or false; rows with the same first text are of one question. Of equally probable answers
the first counts. It is measured only where `evaluate.metrics` names it. SuperGLUE judges COPA by it.
Source: Roemmele, Bejan, Gordon (2011), "Choice of Plausible Alternatives"; Wang et al. (2019), "SuperGLUE", https://arxiv.org/abs/1905.00537.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Labelled, Output

__all__ = ["ChoiceAccuracy"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class ChoiceAccuracy:
    """Share of questions of which the right answer is chosen."""

    positive: str = ""
    """The label of a right answer; none: the last of two."""

    needs: ClassVar[Literal["label"]] = "label"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = True
    on_request: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """How probable the model finds the answer, and whether it is right. Without probabilities, what it says counts as certain."""
        said = float(output.label == self.positive)
        probable = dict(zip(output.classes, output.probabilities, strict=True)).get(self.positive, said)
        return probable, float(reference == self.positive)

    def question(self, example: Example) -> Hashable:
        """The first text."""
        assert isinstance(example, Labelled)
        return example.text

    def merge(self, stats_mk: Array) -> tuple[float, ...]:
        """1 where the most probable answer is right."""
        return (float(stats_mk[stats_mk[:, 0].argmax(), 1]),)

    def value(self, stats_nk: Array) -> float:
        """Mean of the questions."""
        return float(stats_nk.mean())
