"""What a run will take, before it begins: predicted from what a probe measured of its model on this machine, where one did."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunesmith.app.base import is_answered
from tunesmith.app.machine import resident_bytes
from tunesmith.app.plan import Plan
from tunesmith.app.probe import known_rates, probed
from tunesmith.app.retention import Retention
from tunesmith.app.retention_sets import read_retention
from tunesmith.app.task import Say, Task, prepare
from tunesmith.app.work import counted
from tunesmith.comparison.cost_model import Predicted, correction, passes_of, predict
from tunesmith.engine.memory import give_back_freed_memory
from tunesmith.recipe import Recipe

__all__ = ["NOT_PREDICTED", "expected", "predicted_seconds", "with_predictions"]

NOT_PREDICTED = Predicted(None, None, None)


def expected(task: Task, retention: Retention) -> Predicted:
    """What the task's run will take; nothing where no probe knows its model. Call it before the base is asked and the method applied."""
    work = counted(task, retention, asks_base=not is_answered(task))
    rates = known_rates(task, passes_of(work))
    if rates is None:
        return NOT_PREDICTED
    give_back_freed_memory()
    return predict(work, replace(rates, resident_bytes=resident_bytes(task.device)))


def with_predictions(planned: Plan, found: Predicted) -> Plan:
    """The plan, with what a probe tells better; where layers run a second time, of the time alone."""
    if found.train_seconds is None:
        return planned
    memory = planned.peak_memory_bytes if planned.activation_checkpointing or found.peak_memory_bytes is None else found.peak_memory_bytes
    return replace(planned, train_seconds=found.train_seconds, peak_memory_bytes=memory, total_seconds=found.total_seconds)


def predicted_seconds(recipe: Recipe, done: Sequence[Mapping[str, Any]], say: Say = lambda event: None) -> float:
    """Seconds of an arm's whole run, corrected by how long arms before it took against what was predicted of them. What it takes to predict it and is not known is probed first.

    Args:
        done: report.json of the arms before.
    """
    task = prepare(recipe, lambda event: None)
    retention = read_retention(task)
    work = counted(task, retention, asks_base=not is_answered(task))
    passes = passes_of(work)
    probed(task, dict.fromkeys(passes, recipe), say)
    rates = known_rates(task, passes)
    assert rates is not None
    seconds = predict(work, rates).total_seconds
    assert seconds is not None
    pairs = [(run["cost"]["total_seconds"], run["predicted"]["total_seconds"]) for run in done if run["predicted"].get("total_seconds")]
    return seconds * correction(pairs)
