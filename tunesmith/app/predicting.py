"""What a run will take, before it begins: predicted from what a probe measured of its model on this machine, where one did."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunesmith.app.base import is_answered
from tunesmith.app.in_context import as_read, check_context
from tunesmith.app.machine import available_memory_bytes, peak_memory_bytes, resident_bytes
from tunesmith.app.placing import require_training
from tunesmith.app.plan import Plan, RequestPlan
from tunesmith.app.probe import probe
from tunesmith.app.rates import Observed, known_rates, remember, unknown
from tunesmith.app.retention import Retention
from tunesmith.app.retention_sets import read_retention
from tunesmith.app.task import Say, Task, prepare
from tunesmith.app.training import Fit
from tunesmith.app.ways import Ways
from tunesmith.app.work import counted
from tunesmith.comparison.cost_model import Pass, Predicted, Work, correction, kept_bytes, passes_of, predict
from tunesmith.core.allocator import give_back_freed_memory, let_go
from tunesmith.core.errors import TunesmithError
from tunesmith.core.events import silence
from tunesmith.recipe import Recipe

__all__ = ["NOT_PREDICTED", "calibrate", "expected", "learn_from", "observed", "predicted_seconds", "with_predictions", "work_of"]

NOT_PREDICTED = Predicted(None, None, None)


def expected(task: Task, retention: Retention, shown: Task | None = None) -> Predicted:
    """What the task's run will take; nothing where no probe knows its model. Call it before the base is asked and the method applied. `shown`: as of `work_of`."""
    if task.kind == "policy" or known_rates(task, ["read"]) is None:  # how long a policy's answers will be, nobody knows
        return NOT_PREDICTED
    work = work_of(task, retention, asks_base=not is_answered(task), shown=shown)
    give_back_freed_memory()
    rates = known_rates(task, passes_of(work), resident_bytes(task.device))
    return NOT_PREDICTED if rates is None else predict(work, rates)


def calibrate(recipe: Recipe, say: Say) -> None:
    """Probe what it takes to predict the recipe's run, where it is not known of its own method; not where there is no room for what its parameters need.

    One model is in memory at a time. Raises: TunesmithError, for what is wrong with the recipe.
    """
    missing = _missing(recipe)
    let_go()
    probe(dict.fromkeys(missing, recipe), say)


def _missing(recipe: Recipe) -> list[Pass]:
    task = prepare(recipe, silence)
    require_training(task)
    check_context(task)
    work = work_of(
        task, read_retention(task), asks_base=not is_answered(task), shown=task
    )  # a context changes neither passes nor parameters
    room, held = available_memory_bytes(task.device), resident_bytes(task.device)
    return [] if room and held + kept_bytes(work) > room else unknown(task, passes_of(work), own=True)


def work_of(task: Task, retention: Retention, *, asks_base: bool, shown: Task | None = None) -> Work:
    """The work of the task's whole run. Arguments as of `counted`.

    Args:
        shown: what `as_read` gives; None: that is made.
    """
    return counted(task, retention, asks_base=asks_base, shown=as_read(task) if shown is None else shown)


def observed(task: Task, work: Work, fit: Fit, ways: Ways, before: tuple[int, int]) -> Observed | None:
    """What a training showed that is just done; None where its steps were not the usual ones of its method: compiled, computed a second time, or cut where memory ran out.

    Args:
        work: of all its steps.
        before: bytes that the process held before the first, and at most until then.
    """
    if fit.max_micro_batch_tokens is not None or ways.activation_checkpointing or ways.compile_seconds:
        return None
    done = replace(work, num_steps=fit.steps, train_tokens=round(work.train_tokens * fit.steps / max(1, work.num_steps)))
    held, most = before
    peak = peak_memory_bytes(task.device)
    return Observed(done, fit.seconds, held, peak if peak > most else None)


def learn_from(task: Task, seen: Observed | None) -> None:
    """Let what a training took tell what the next one of its method will take. Where that cannot be kept, nothing is lost but a prediction."""
    if seen is not None:
        with contextlib.suppress(TunesmithError, OSError):
            remember(task, seen)


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
