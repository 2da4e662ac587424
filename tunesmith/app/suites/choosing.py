"""Suites by what a user calls them: a suite's name, one of its tasks, a task of lm-eval's that no suite is for, a file."""

import difflib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.app.suites.quietly import quiet
from tunesmith.core import registry
from tunesmith.core.errors import UsageError
from tunesmith.core.suite import Rows, Suite

__all__ = ["Chosen", "LmEvalGroup", "LmEvalTasks", "choose", "require_lm_eval", "whole_index"]

_FROM_FILE = "bigbench"
_PASSAGES = ("passage", "paragraph", "article", "story", "context", "flores_passage")
"""What data sets call the text that several of their rows are about."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A suite, or one of its tasks."""

    name: str
    suite: Suite
    tasks: tuple[str, ...]
    """Those that are wanted; lm-eval knows which they are, where there are none."""


@dataclass(frozen=True, kw_only=True)
class LmEvalTasks:
    """A task or tag of lm-eval's, as it is there: read from the hub; of a tag's tasks there is no average. Implements `core.suite.Suite`."""

    definitions: ClassVar[str] = "."
    num_fewshot: ClassVar[int | None] = None
    averages: ClassVar[bool] = False
    folder: ClassVar[str] = ""
    files: ClassVar[str] = ""
    tasks: ClassVar[Mapping[str, str]] = {}

    def headline(self, task: str) -> tuple[str, ...]:
        """None, as nothing is averaged."""
        return ()

    def weight(self, task: str, num_rows: int) -> float:
        """Of no average."""
        return 1.0

    def group(self, task: str, row: Mapping[str, Any]) -> Hashable:
        """The text that the row is about, where it has one."""
        return next((row[column] for column in _PASSAGES if isinstance(row.get(column), str)), None)

    def definition(self, task: str) -> Mapping[str, Any]:
        """As in lm-eval."""
        return {}

    def read(self, folder: Path, task: str) -> Rows | None:
        """No files of it are known."""
        return None


@dataclass(frozen=True, kw_only=True)
class LmEvalGroup(LmEvalTasks):
    """A group of lm-eval's, averaged as it is there: by the first that its `aggregate_metric_list` names."""

    metric: str
    """As `Answered` calls it; without a filter, it stands for the first filter that a task has."""
    weight_by_size: bool

    averages: ClassVar[bool] = True

    def headline(self, task: str) -> tuple[str, ...]:
        """The group's metric."""
        return (self.metric,)

    def weight(self, task: str, num_rows: int) -> float:
        """Every row weighs the same, or every task."""
        return num_rows if self.weight_by_size else 1.0


def require_lm_eval() -> None:
    """Raises: UsageError, where lm-eval is not installed."""
    if find_spec("lm_eval") is None:
        raise UsageError('--suite: needs lm-eval, which is not installed. Install it: pip install "lm-eval>=0.4.13,<0.5"')


def choose(names: Iterable[str]) -> list[Chosen]:
    """The suites of these names, each once. Raises: UsageError, naming the nearest, where there is none."""
    wanted = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not wanted:
        raise UsageError(f"--suite: names nothing. Suites: {', '.join(_suites())}.")
    return [_chosen(name) for name in wanted]


def _suites() -> list[str]:
    return [name for name in registry.names("suite") if name != _FROM_FILE]


def _chosen(name: str) -> Chosen:
    if name.endswith(".json"):
        if not Path(name).is_file():
            raise UsageError(f"--suite {name}: no such file. Name a task in BIG-bench's JSON format by its path.")
        suite: Suite = registry.create("suite", _FROM_FILE, file=name)
        return Chosen(next(iter(suite.tasks)), suite, tuple(suite.tasks))
    if name == _FROM_FILE:
        raise UsageError(f"--suite {name}: is a format. Name a task's file by its path: --suite FOLDER/task.json.")
    if name in _suites():
        suite = registry.create("suite", name)
        return Chosen(name, suite, tuple(suite.tasks))
    of_suites = {task: other for other in _suites() for task in registry.create("suite", other).tasks}
    if name in of_suites:
        return Chosen(name, registry.create("suite", of_suites[name]), (name,))
    known = set(whole_index().all_tasks)
    if name in known:
        return Chosen(name, _of_lm_eval(whole_index().task_index[name].cfg or {}), ())
    near = difflib.get_close_matches(name, sorted({*_suites(), *of_suites, *known}), n=3, cutoff=0.5)
    question = f" Did you mean {', '.join(near)}?" if near else ""
    raise UsageError(f"--suite {name}: no suite, and no task of lm-eval.{question} Suites: {', '.join(_suites())}.")


def _of_lm_eval(defined: Mapping[str, Any]) -> Suite:
    """From what lm-eval's definition of a task, group or tag says."""
    from lm_eval.config.group import GroupConfig

    aggregates = GroupConfig(defined.get("group", ""), aggregate_metric_list=defined.get("aggregate_metric_list")).aggregate_metric_list
    if not aggregates:
        return LmEvalTasks()
    first: Any = aggregates[0]
    part = (first.filter_list or ["none"])[0]
    return LmEvalGroup(metric=str(first.metric) if part == "none" else f"{first.metric},{part}", weight_by_size=bool(first.weight_by_size))


@cache
def whole_index() -> Any:
    """lm-eval's task manager over all of its definitions, which takes seconds to read."""
    with quiet():
        from lm_eval.tasks import TaskManager

        return TaskManager()
