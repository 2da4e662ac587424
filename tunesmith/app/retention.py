"""What a model could do before tuning: asked of the base, and again of the tuned model."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol, Self

from tunesmith.app.task import Say, Task
from tunesmith.core.events import counted
from tunesmith.core.files import hash_of, hash_of_each, write_json
from tunesmith.core.types import Example
from tunesmith.evaluation.score import Measure

__all__ = ["Remembered", "Retention", "RetentionTask", "ask", "load_remembered", "save_remembered"]

Stats = Sequence[Sequence[float]]
"""What each row contributes to a measure."""


class RetentionTask(Protocol):
    """One thing that the model is not to forget."""

    @property
    def source(self) -> str:
        """Where its rows are from, as the report names it."""

    @property
    def examples(self) -> Sequence[Example]:
        """Its rows."""

    @property
    def metric(self) -> str:
        """The name of what is measured."""

    @property
    def measure(self) -> Measure:
        """What makes one number of the rows' stats."""

    def first(self, count: int) -> Self:
        """The same with its first rows only."""

    def lengths(self, task: Task) -> list[int]:
        """Tokens that the model reads of each row."""

    def ask(self, task: Task, tick: Callable[[int], None]) -> Stats:
        """What each row contributes, of the task's model as it is now. `tick` is told how many rows are done."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What is asked before and after, and what is not."""

    tasks: Mapping[str, RetentionTask] = field(default_factory=dict)
    """By name."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """What was to be asked, and why it is not; the name `all` stands for everything."""
    keeps_base: bool = False
    """Whether none of the base's own weights train, so that it is as it was without what does."""

    @property
    def hashes(self) -> dict[str, str]:
        """Of each task's rows and of how they are asked."""
        return {name: hash_of(type(one).__name__, one.metric, hash_of_each(one.examples)) for name, one in self.tasks.items()}

    def as_asked(self, before: "Remembered") -> Self:
        """Without the tasks whose rows are not those that the base was asked: sources of a resumed run may have changed, or may be reached only now."""
        hashes = self.hashes
        kept = {name: one for name, one in self.tasks.items() if before.hashes.get(name) == hashes[name]}
        changed = {name: "its rows are not those that the base was asked" for name in self.tasks if name not in kept}
        return replace(self, tasks=kept, left_out={**self.left_out, **changed})


@dataclass(frozen=True, slots=True)
class Remembered:
    """What one model contributed, by the names of the tasks."""

    stats: Mapping[str, Stats] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    """`Retention.hashes` of what was asked."""
    seconds: float = 0.0


def ask(retention: Retention, task: Task, say: Say) -> Remembered:
    """The model as it is now, on every retention task."""
    started, found = time.perf_counter(), dict[str, Stats]()
    for name, one in retention.tasks.items():
        found[name] = one.ask(task, counted(say, f"retention, {name}", len(one.examples)))
    return Remembered(found, retention.hashes, time.perf_counter() - started)


def save_remembered(file: Path, remembered: Remembered) -> None:
    """Keep it as JSON, written whole."""
    write_json(file, asdict(remembered), indent=None)


def load_remembered(file: Path) -> Remembered:
    """Read what `save_remembered` wrote."""
    return Remembered(**json.loads(file.read_text(encoding="utf-8")))
