"""GSM8K after eight fixed examples that reason step by step.

Source: Wei et al. (2022), "Chain-of-Thought Prompting Elicits Reasoning in Large Language Models", https://arxiv.org/abs/2201.11903, table 20.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.core.suite import Rows
from tunesmith.evaluation.suites._gsm8k import Gsm8kFiles, read_problems

__all__ = ["Gsm8kCot"]


@dataclass(frozen=True, kw_only=True)
class Gsm8kCot(Gsm8kFiles):
    """The same shots before every question: they are read once."""

    @property
    def tasks(self) -> Mapping[str, str]:
        """One."""
        return {"gsm8k_cot": ""}

    def read(self, folder: Path, task: str) -> Rows | None:
        """The test problems."""
        return read_problems(folder, "test")
