"""BIG-Bench Hard: 23 tasks that models found hard, answered after three worked examples that reason step by step.

The suite's score is the mean over the 23 tasks, each weighing the same.
Source: Suzgun et al. (2022), "Challenging BIG-Bench Tasks and Whether Chain-of-Thought Can Solve Them", https://arxiv.org/abs/2210.09261.
"""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.evaluation.suites._bbh import BigBenchHard

__all__ = ["Bbh"]


@dataclass(frozen=True, kw_only=True)
class Bbh(BigBenchHard):
    """Chain of thought: the answer is what follows `the answer is`."""

    definitions: ClassVar[str] = "bbh/cot_fewshot"
    prefix: ClassVar[str] = "bbh_cot_fewshot_"

    def headline(self, task: str) -> tuple[str, ...]:
        """The share of answers that are the target."""
        return ("exact_match,get-answer",)
