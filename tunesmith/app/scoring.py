"""Runs of a benchmark's tasks, put together to the benchmark's score."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tunesmith.core.errors import RunError
from tunesmith.core.run import RunDirectory, find_run
from tunesmith.core.statistics import Interval
from tunesmith.evaluation.benchmarks import BENCHMARKS, BenchmarkTask, mean_of_metrics, mean_of_tasks
from tunesmith.recipe import load

__all__ = ["score_runs"]

Side = Literal["base", "tuned"]
_SIDES: tuple[Side, ...] = ("base", "tuned")


@dataclass(frozen=True, slots=True)
class _Measured:
    """A run, and what it measured of a task."""

    run: RunDirectory
    task: BenchmarkTask
    source: str
    metrics: dict[str, dict[str, Any]]
    """Entries of report.json, by the metric; of the mismatched part, `mismatched accuracy`."""

    def interval(self, metric: str, side: Side) -> Interval | None:
        """None where the base was not asked."""
        found = self.metrics[metric][side]
        return None if found is None else Interval(**{key: float("nan") if value is None else value for key, value in found.items()})

    def score(self, side: Side) -> Interval | None:
        """The mean of the metrics."""
        found = [self.interval(metric, side) for metric in self.metrics]
        return None if None in found else mean_of_metrics([one for one in found if one is not None])


def score_runs(runs: Sequence[str]) -> dict[str, Any]:
    """The score of a benchmark from runs of its tasks, one a task: `{schema, benchmark, tasks, average, missing}`, as docs/glue.md describes it.

    Args:
        runs: ids, beginnings of ids, or folders.
    Raises: RunError, where a run is not finished or was not measured on a part of a task as the benchmark does, where two are of the same task, or of
        different benchmarks.
    """
    found = dict[str, _Measured]()
    key = ""
    for name in runs:
        run = find_run(name)
        own, task, measured = _measured(run)
        if key and own != key:
            raise RunError(f"{run.path}: is a run of {BENCHMARKS[own].title}, the others are of {BENCHMARKS[key].title}. Score them apart.")
        if task in found:
            raise RunError(f"{run.path}: {found[task].run.path} is a run of {measured.task.title} too. Name one run a task.")
        key, found[task] = own, measured
    tasks = BENCHMARKS[key].tasks
    return {
        "schema": "tunesmith/score/1",
        "benchmark": key,
        "title": BENCHMARKS[key].title,
        "tasks": {name: _entry(found[name]) for name in tasks if name in found},
        "average": {side: _average([one.score(side) for one in found.values()]) for side in _SIDES},
        "missing": [name for name in tasks if name not in found],
    }


def _entry(one: _Measured) -> dict[str, Any]:
    kept = ("rows", "base", "tuned")
    return {
        "title": one.task.title,
        "run": one.run.id,
        "source": one.source,
        "metrics": {metric: {key: entry[key] for key in kept} for metric, entry in one.metrics.items()},
        "score": {side: _as_dict(one.score(side)) for side in _SIDES},
    }


def _average(scores: Sequence[Interval | None]) -> dict[str, float | None] | None:
    return None if None in scores else _as_dict(mean_of_tasks([score for score in scores if score is not None]))


def _as_dict(interval: Interval | None) -> dict[str, float | None] | None:
    """As report.json has it: no bound where there is none."""
    return None if interval is None else {key: None if math.isnan(value) else value for key, value in asdict(interval).items()}


def _measured(run: RunDirectory) -> tuple[str, str, _Measured]:
    """Benchmark and task of a run, and what it measured."""
    report, recipe = run.read_json(run.report_json), load(run.recipe)
    key, name, part = _task_of(recipe.data.test)
    if not key:
        known = " or ".join(f"{{{one}: ...}}" for one in BENCHMARKS)
        raise RunError(f"{run.path}: was not measured on a task of a benchmark: its data.test is no {known}.")
    task = BENCHMARKS[key].tasks[name]
    metrics = dict(_wanted(run, task, report))
    if task.mismatched:
        domain = next(
            (one for one, spec in recipe.evaluate.domains.items() if _task_of(spec.source) == (key, name, f"{part}_mismatched")), None
        )
        if domain is None:
            raise RunError(f"{run.path}: was not measured on {name}:{part}_mismatched, which counts as much. Name it in evaluate.domains.")
        metrics |= {f"mismatched {metric}": entry for metric, entry in _wanted(run, task, report["domains"].get(domain, {"metrics": {}}))}
    return key, name, _Measured(run, task, f"{name}:{part}", metrics)


def _wanted(run: RunDirectory, task: BenchmarkTask, measured: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for metric in task.metrics:
        if metric not in measured["metrics"]:
            raise RunError(
                f"{run.path}: {task.title} is judged by {' and '.join(task.metrics)}, and {metric} was not measured. Name it in evaluate.metrics."
            )
        yield metric, measured["metrics"][metric]


def _task_of(source: Any) -> tuple[str, str, str]:
    """Benchmark, task and part that a source of data is; empty texts where it is none."""
    for key in BENCHMARKS:
        if isinstance(source, Mapping) and key in source:
            task, _, part = source[key].partition(":")
            return key, task, part or "train"
    return "", "", ""
