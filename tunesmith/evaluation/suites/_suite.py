"""What most suites have in common."""

from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

__all__ = ["LmEvalSuite"]


class LmEvalSuite:
    """Tasks as lm-eval defines them, each weighing the same."""

    num_fewshot: ClassVar[int | None] = None
    averages: ClassVar[bool] = True

    def headline(self, task: str) -> tuple[str, ...]:
        """Accuracy."""
        return ("acc",)

    def weight(self, task: str, num_rows: int) -> float:
        """Every task weighs the same."""
        return 1.0

    def group(self, task: str, row: Mapping[str, Any]) -> Hashable:
        """Every row stands alone."""
        return None

    def definition(self, task: str) -> Mapping[str, Any]:
        """As in lm-eval."""
        return {}
