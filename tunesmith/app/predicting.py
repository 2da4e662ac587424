"""What a run will take, before it begins: predicted from what a probe measured of its model on this machine, where one did."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunesmith.app.base import is_answered
from tunesmith.app.in_context import largest_context
from tunesmith.app.machine import resident_bytes
from tunesmith.app.plan import Plan, RequestPlan
from tunesmith.app.probe import known_rates, probed, remember
from tunesmith.app.retention import Retention
from tunesmith.app.task import Say, Task
from tunesmith.app.work import counted
from tunesmith.comparison.cost_model import Predicted, Work, correction, passes_of, predict
from tunesmith.core.allocator import give_back_freed_memory
from tunesmith.core.events import silence

__all__ = ["NOT_PREDICTED", "as_read", "calibrate", "expected", "learn_from", "predicted_seconds", "with_predictions", "work_of"]

NOT_PREDICTED = Predicted(None, None, None)


def expected(task: Task, retention: Retention, shown: Task | None = None) -> Predicted:
    """What the task's run will take; nothing where no probe knows its model. Call it before the base is asked and the method applied. `shown`: as of `work_of`."""
    if known_rates(task, ["read"]) is None:
        return NOT_PREDICTED
    work = work_of(task, retention, asks_base=not is_answered(task), shown=shown)
    give_back_freed_memory()
    rates = known_rates(task, passes_of(work), resident_bytes(task.device))
    return NOT_PREDICTED if rates is None else predict(work, rates)


def calibrate(task: Task, retention: Retention, say: Say, shown: Task | None = None) -> None:
    """Probe what it takes to predict the task's run, where it is not known; with a model of its own. `shown`: as of `work_of`."""
    work = work_of(task, retention, asks_base=not is_answered(task), shown=shown)
    probed(task, dict.fromkeys(passes_of(work), task.recipe), say, own=True)


def work_of(task: Task, retention: Retention, *, asks_base: bool, shown: Task | None = None) -> Work:
    """The work of the task's whole run. Arguments as of `counted`.

    Args:
        shown: what `as_read` gives; None: that is made.
    """
    return counted(task, retention, asks_base=asks_base, shown=as_read(task) if shown is None else shown)


def as_read(task: Task) -> Task:
    """The task as the model reads it in training; of ways to ask that are still to be chosen among the largest."""
    return largest_context(task, silence) if task.recipe.trains and task.recipe.context is not None else task


def learn_from(task: Task, work: Work, num_steps: int, seconds: float, held_bytes: int) -> None:
    """Let what a training took tell what the next one of its method will take.

    Args:
        work: of all its steps.
        num_steps: that were made.
        seconds: that these took.
        held_bytes: what the process held before.
    """
    tokens = round(work.train_tokens * num_steps / max(1, work.num_steps))
    remember(task, replace(work, num_steps=num_steps, train_tokens=tokens), seconds, held_bytes)


def with_predictions(planned: Plan, found: Predicted) -> Plan:
    """The plan, with what a probe tells better; where layers run a second time, of the time alone."""
    if found.train_seconds is None:
        return planned
    memory = planned.peak_memory_bytes if planned.activation_checkpointing or found.peak_memory_bytes is None else found.peak_memory_bytes
    return replace(planned, train_seconds=found.train_seconds, peak_memory_bytes=memory, total_seconds=found.total_seconds)


def predicted_seconds(planned: Plan | RequestPlan, done: Sequence[Mapping[str, Any]]) -> float:
    """Seconds of an arm's whole run, corrected by how long arms before it took against what was predicted of them.

    Where no probe knows its model, those of the training by its plan, corrected alike, and of the rest what that took at most.

    Args:
        done: the reports of arms before it.
    """
    if planned.total_seconds is not None:
        return planned.total_seconds * correction(_pairs(done, "total_seconds"))
    rest = max((run["cost"]["total_seconds"] - run["cost"]["train_seconds"] for run in done), default=0.0)
    return float(planned.train_seconds * correction(_pairs(done, "train_seconds")) + rest)


def _pairs(done: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """What was measured and predicted, where both are there."""
    found = [(run["cost"][name], run["predicted"].get(name)) for run in done]
    return [(measured, predicted) for measured, predicted in found if measured and predicted]
