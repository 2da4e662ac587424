"""What a suite of tasks is to those who run it."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

__all__ = ["Rows", "Suite"]

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Of one task: split -> rows, in the columns that the task's definition in lm-eval reads. Splits that give shots alone are not asked for where there are none."""


@runtime_checkable
class Suite(Protocol):
    """Tasks that are judged together. A file in `evaluation/suites/`."""

    definitions: ClassVar[str]
    """The folder of lm-eval's that holds the tasks' definitions, below its `tasks`; empty where `definition` gives them whole."""
    num_fewshot: ClassVar[int | None]
    """Solved examples before each question; None: as many as a task's definition says."""
    averages: ClassVar[bool]
    """Whether the mean of the tasks' scores means anything."""
    folder: ClassVar[str]
    """The folder with its files, in the one that `--data` names."""
    files: ClassVar[str]
    """What lies there, as messages say it."""

    @property
    def tasks(self) -> Mapping[str, str]:
        """The tasks by lm-eval's names, and the category of each; empty where there are no categories."""

    def headline(self, task: str) -> tuple[str, ...]:
        """The metrics whose mean is the task's score in the suite's average."""

    def weight(self, task: str, num_rows: int) -> float:
        """Of the task's score in the suite's average. `num_rows`: all that the task has, however few are asked."""

    def group(self, task: str, row: Mapping[str, Any]) -> Hashable:
        """What a row of the task has in common with others, which it is drawn together with for intervals: its passage, say. None: it stands alone."""

    def definition(self, task: str) -> Mapping[str, Any]:
        """Keys of the task's definition that are set otherwise than in lm-eval's; with an `output_type` it is whole, and lm-eval's is not read."""

    def read(self, folder: Path, task: str) -> Rows | None:
        """The rows in the files as their authors ship them; None where the task's are not there.

        Raises: DataError, naming file and row, for what is broken, and for a file that is missing beside one that is there.
        """
