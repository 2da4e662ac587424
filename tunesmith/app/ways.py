"""In which ways a training is computed: the layers that run once a row, those that run again in the backward pass, those that are compiled."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from tunesmith.app.machine import available_memory_bytes
from tunesmith.app.plan import Plan, step_plan
from tunesmith.app.task import Task
from tunesmith.core.events import Event, Notice, Warned
from tunesmith.core.types import BasePrecision
from tunesmith.engine.compiling import compile_layers
from tunesmith.engine.kept import keep_activations
from tunesmith.engine.packing import training_steps
from tunesmith.engine.row_store import RowStore

__all__ = ["NO_WAYS", "Ways", "chosen_ways"]

COMPILE_SECONDS = 60.0
"""What compiling takes at worst, on two cores."""
COMPILED_GAIN: Mapping[BasePrecision, float] = {"exact": 0.07, "int8": 0.15}
"""Part of the training's time that compiled layers save, measured on two cores, by the base's precision."""

_KEPT_BYTES = 2**30
_KEPT_FILE_BYTES = 8 * 2**30
"""The most that is kept of activations, in memory and in a file."""

Say = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Ways:
    """What came of it."""

    compile_seconds: float
    num_kept_layers: int
    """Layers that run once a row."""
    activation_checkpointing: bool | Literal["feed_forward"]


NO_WAYS = Ways(compile_seconds=0.0, num_kept_layers=0, activation_checkpointing=False)
"""Of a run that trains nothing."""


@contextlib.contextmanager
def chosen_ways(task: Task, planned: Plan, folder: Path, say: Say) -> Iterator[Ways]:
    """Let the model train inside the block as recipe and plan say.

    Args:
        folder: where a file of kept activations is made; it has no name there and ends with the block.
    """
    _warn_of_plain_ways(task, say)
    with _store(task, planned, folder) as store:
        num_kept = _keep(task, planned, store, say)
        recomputed = _recompute(task, planned, say)
        seconds = _compile(task, planned, say)
        try:
            yield Ways(seconds, num_kept, recomputed)
        finally:
            task.forward.kept, task.forward.recomputed = None, ()
            task.forward.recompute_feed_forward(on=False)


def _warn_of_plain_ways(task: Task, say: Say) -> None:
    engine = task.recipe.engine
    for name in ("compile", "activation_checkpointing"):
        wanted = getattr(engine, name)
        if engine.exact_reference and wanted not in (False, "auto"):
            say(Warned(f"engine.{name}: {str(wanted).lower()} has no effect beside engine.exact_reference."))


def _store(task: Task, planned: Plan, folder: Path) -> RowStore:
    """Of the memory that the plan leaves half at most, of the disk a quarter."""
    left = available_memory_bytes(torch.device("cpu")) - (0 if task.device.type == "cuda" else planned.peak_memory_bytes)
    return RowStore(max(0, min(_KEPT_BYTES, left // 2)), folder, min(_KEPT_FILE_BYTES, shutil.disk_usage(folder).free // 4))


def _keep(task: Task, planned: Plan, store: RowStore, say: Say) -> int:
    """Keep what leaves the layers below the first that trains, where rows come more than once. Returns: how many layers these are."""
    forward, comes_again = task.forward, planned.num_steps > planned.steps_per_epoch
    if task.recipe.engine.exact_reference or forward.features is not None or not comes_again or task.kind == "policy":
        return 0  # of a policy no row comes again: its answers are new each time
    found = keep_activations(forward, task.splits["train"].rows[:3], store)
    if found.num_layers:
        say(Notice(f"the {found.num_layers} lowest layers do not train: they run once a row."))
    return found.num_layers


def _recompute(task: Task, planned: Plan, say: Say) -> bool | Literal["feed_forward"]:
    """Returns: what is made a second time."""
    engine = task.recipe.engine
    if planned.activation_checkpointing == "feed_forward":
        task.forward.recompute_feed_forward()
        say(
            Notice(
                "what is as wide as the feed-forward parts is computed a second time in the backward pass: less memory, the same result."
            )
        )
        return "feed_forward"
    if planned.activation_checkpointing:
        task.forward.recompute_layers()
        say(Notice("activations are computed a second time in the backward pass: less memory, slower steps, the same result."))
        return bool(task.forward.recomputed)
    if engine.activation_checkpointing not in (False, "auto") and not engine.exact_reference:
        why = "nothing in the model trains" if task.forward.features is not None else "the model has no list of like layers"
        if engine.activation_checkpointing == "feed_forward" and task.forward.features is None:
            why = "no gated feed-forward part runs fused here without dropout; true computes whole layers again"
        say(Warned(f"engine.activation_checkpointing: activations are kept ({why})."))
    return False


def _compile(task: Task, planned: Plan, say: Say) -> float:
    """Compile the model's layers where the recipe asks for it, or the training is long enough to win by it. Returns: seconds."""
    engine = task.recipe.engine
    if task.kind == "policy":  # there is no row of its training to try compiled layers on before it writes one
        if engine.compile is True:
            say(Warned("engine.compile: the layers run uncompiled (a policy has no answers to try them on before it writes some)."))
        return 0.0
    wins = planned.train_seconds * COMPILED_GAIN[task.method.base_precision] > COMPILE_SECONDS and not task.recipe.model.quantization
    if engine.exact_reference or task.forward.features is not None or not (engine.compile is True or (engine.compile == "auto" and wins)):
        return 0.0
    say(Notice("compiling the model's layers: up to a minute, the first time."))
    batch = next(training_steps(task.splits["train"].rows, step_plan(task), task.objective, task.model.facts))[0].to(task.device)
    found = compile_layers(task.forward, task.objective, batch)
    if found.reason and engine.compile is True:
        say(Warned(f"engine.compile: the layers run uncompiled ({found.reason})."))
    return found.seconds
