"""GSM8K: word problems of grade school, solved in words and numbers after five worked examples.

Source: Cobbe et al. (2021), "Training Verifiers to Solve Math Word Problems", https://arxiv.org/abs/2110.14168.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.core.suite import Rows
from tunesmith.evaluation.suites._gsm8k import Gsm8kFiles, read_problems

__all__ = ["Gsm8k"]


@dataclass(frozen=True, kw_only=True)
class Gsm8k(Gsm8kFiles):
    """Shots drawn from the training problems, other ones for every question."""

    @property
    def tasks(self) -> Mapping[str, str]:
        """One."""
        return {"gsm8k": ""}

    def read(self, folder: Path, task: str) -> Rows | None:
        """Both files."""
        return read_problems(folder, "test", "train")
