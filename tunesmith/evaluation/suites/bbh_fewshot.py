"""BIG-Bench Hard, answered at once: three worked examples with their answers alone.

The suite's score is the mean over the 23 tasks, each weighing the same.
Source: Suzgun et al. (2022), "Challenging BIG-Bench Tasks and Whether Chain-of-Thought Can Solve Them", https://arxiv.org/abs/2210.09261.
"""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.evaluation.suites._bbh import BigBenchHard

__all__ = ["BbhFewshot"]


@dataclass(frozen=True, kw_only=True)
class BbhFewshot(BigBenchHard):
    """What is written is the answer."""

    definitions: ClassVar[str] = "bbh/fewshot"
    prefix: ClassVar[str] = "bbh_fewshot_"

    def headline(self, task: str) -> tuple[str, ...]:
        """The share of answers that are the target."""
        return ("exact_match",)
