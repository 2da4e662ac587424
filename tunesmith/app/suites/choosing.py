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

__all__ = ["Chosen", "LmEvalTasks", "choose", "require_lm_eval", "whole_index"]

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
    """A task, group or tag of lm-eval's, as it is there: read from the hub. Implements `core.suite.Suite`."""

    definitions: ClassVar[str] = "."
    num_fewshot: ClassVar[int | None] = None
    averages: ClassVar[bool] = True
    folder: ClassVar[str] = ""
    files: ClassVar[str] = ""
    tasks: ClassVar[Mapping[str, str]] = {}

    def headline(self, task: str) -> tuple[str, ...]:
        """The first that it has."""
        return ()

    def weight(self, task: str, num_rows: int) -> float:
        """Every row weighs the same, as in lm-eval."""
        return num_rows

    def group(self, task: str, row: Mapping[str, Any]) -> Hashable:
        """The text that the row is about, where it has one."""
        return next((row[column] for column in _PASSAGES if isinstance(row.get(column), str)), None)

    def definition(self, task: str) -> Mapping[str, Any]:
        """As in lm-eval."""
        return {}

    def read(self, folder: Path, task: str) -> Rows | None:
        """No files of it are known."""
        return None


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
        return Chosen(name, LmEvalTasks(), ())
    near = difflib.get_close_matches(name, sorted({*_suites(), *of_suites, *known}), n=3, cutoff=0.5)
    question = f" Did you mean {', '.join(near)}?" if near else ""
    raise UsageError(f"--suite {name}: no suite, and no task of lm-eval.{question} Suites: {', '.join(_suites())}.")


@cache
def whole_index() -> Any:
    """lm-eval's task manager over all of its definitions, which takes seconds to read."""
    with quiet():
        from lm_eval.tasks import TaskManager

        return TaskManager()
