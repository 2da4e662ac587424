"""Exact match of questions: the share of questions of which every answer is judged right.

Between 0 and 1. Each row is a question with one answer, labelled true or false; rows with the same first text are of one question.
It is measured only where `evaluate.metrics` names it. SuperGLUE judges MultiRC by it (there called EM).
Source: Khashabi et al. (2018), "Looking Beyond the Surface", https://aclanthology.org/N18-1023, section 5; Wang et al. (2019), "SuperGLUE", https://arxiv.org/abs/1905.00537.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tunesmith.core.types import Example, Labelled, Output

__all__ = ["QuestionExactMatch"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class QuestionExactMatch:
    """Share of questions without a wrong row."""

    needs: ClassVar[Literal["label"]] = "label"
    higher_is_better: ClassVar[bool] = True
    is_proportion: ClassVar[bool] = True
    on_request: ClassVar[bool] = True

    def stats(self, example: Example, output: Output, reference: str) -> tuple[float, ...]:
        """1 where the label is right, else 0."""
        return (float(output.label == reference),)

    def question(self, example: Example) -> Hashable:
        """The first text."""
        assert isinstance(example, Labelled)
        return example.text

    def merge(self, stats_mk: Array) -> tuple[float, ...]:
        """1 where all rows are right."""
        return (float(stats_mk.min()),)

    def value(self, stats_nk: Array) -> float:
        """Mean of the questions."""
        return float(stats_nk.mean())
