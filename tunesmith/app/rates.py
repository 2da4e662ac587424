"""What a token costs on this machine, as a probe or a training found it: kept in the cache under the machine, the model, the versions and how the rows are cut into steps.

A step is known of each method, with its options and its context, and of one that `advise` probed for all others of its kind. What a training took takes the place of what its probe showed.
"""

import json
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from tunesmith.app.machine import machine_facts, versions
from tunesmith.app.plan import sizes
from tunesmith.app.shots import strategy_of
from tunesmith.app.task import Task
from tunesmith.comparison.cost_model import Pass, Rates, Work, pass_of, trained_bytes, trained_rate
from tunesmith.core.allocator import freed_memory_scatters
from tunesmith.core.files import cache_folder, hash_of, write_json
from tunesmith.recipe import PluginSpec
from tunesmith.recipe.sources import source_name

__all__ = ["TRAINED", "Measured", "Observed", "keep", "kept", "known_rates", "remember", "scatters", "unknown"]

TRAINED: tuple[Pass, ...] = ("full", "adapter", "head")
"""The passes of a step, which differ by method."""
_FORMAT = 3
"""Of what is kept: figures of another mean something else."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What is kept of a pass."""

    seconds_per_token: float
    bytes_per_token: float
    prepare_seconds: float
    answer_tokens: float | None = None
    """Of writing, how long an answer is on average; None where most did not come to their end."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A training that is done."""

    work: Work
    """Of the steps that were made."""
    seconds: float
    """That they took."""
    held_bytes: int
    """What the process held before; 0 where the system does not say."""
    peak_bytes: int | None
    """The most that it held; None where that was before the first step."""


def known_rates(task: Task, passes: Collection[Pass], held_bytes: int = 0) -> Rates | None:
    """What was measured before of the task's model on this machine, on rows cut alike; None, where one of the passes was not.

    Args:
        held_bytes: what the process holds with the model loaded; 0 where that is not known.
    """
    found = {name: kept(task, name) for name in (*passes, "head")}
    known: dict[Pass, Measured] = {name: one for name, one in found.items() if one is not None}
    if not set(passes) <= known.keys():
        return None
    return Rates(
        prepare_seconds=min(one.prepare_seconds for one in known.values()),
        seconds_per_token={name: one.seconds_per_token for name, one in known.items()},
        resident_bytes=held_bytes,
        bytes_per_token={name: one.bytes_per_token for name, one in known.items()},
        scatters=scatters(task.device),
    )


def unknown(task: Task, passes: Collection[Pass], *, own: bool) -> list[Pass]:
    """Those of the passes that were not measured of the task's model. `own`: a step has to be of the task's own method, or may be of any other of its kind."""
    return [name for name in passes if (_read(_file(task, name, own=True)) if own else kept(task, name)) is None]


def kept(task: Task, name: Pass) -> Measured | None:
    """What is known of a pass: of a step, that of the task's own method comes first."""
    return _read(_file(task, name, own=True)) or _read(_file(task, name, own=False))


def keep(task: Task, name: Pass, measured: Measured, *, for_all: bool = False) -> None:
    """Keep what a pass of the task showed. `for_all`: of a step, also for other methods of its kind, which nobody measured."""
    write_json(_file(task, name, own=True), asdict(measured))
    if for_all:
        is_own = name == "write" and task.recipe.context is not None  # how long answers are in another context is not known
        write_json(_file(task, name, own=False), asdict(replace(measured, answer_tokens=None) if is_own else measured))


def remember(task: Task, seen: Observed) -> None:
    """Keep what a training took, in place of what was known of it; nothing where it is not known what reading takes, or what the steps hold."""
    name, rates, before = pass_of(seen.work), known_rates(task, ["read"], seen.held_bytes), kept(task, "read")
    if name is None or rates is None or before is None or not seen.work.train_tokens:
        return
    if seen.peak_bytes is None or not seen.held_bytes:
        earlier = kept(task, name)
        per_token = earlier.bytes_per_token if earlier is not None else 0.0 if name == "head" else None
    else:
        per_token = trained_bytes(seen.work, rates, seen.peak_bytes)
    if per_token is not None:
        keep(task, name, Measured(trained_rate(seen.work, rates, seen.seconds), per_token, before.prepare_seconds))


def scatters(device: torch.device) -> bool | None:
    """As of `Rates`."""
    return freed_memory_scatters() if device.type == "cpu" else None


def _file(task: Task, name: Pass, *, own: bool) -> Path:
    """In the cache, named by a hash of what a token's time depends on, but for the rows themselves: their length counts in doublings. `own`: of a step, for the task's method and context alone; of writing for its context."""
    recipe, source = task.recipe, task.model.source
    if name == "embed":  # by the encoder alone
        return cache_folder("probe") / f"{hash_of(_FORMAT, name, _machine(task.device), strategy_of(recipe).embedded_by)}.json"
    length = round(math.log2(fmean(sizes(task.splits["train"].rows))))
    engine = recipe.engine.model_dump(mode="json", exclude={"device"})
    model = (
        source.sha256 or source.name,
        source.revision,
        recipe.model.quantization,
        task.forward.paths.attention,
        task.model.facts.max_length,
    )
    cut = (recipe.train.examples_per_step, recipe.train.optimizer, length, task.objective_name)
    specs: tuple[PluginSpec | None, ...] = (recipe.method, recipe.context) if own and name in TRAINED else ()
    asked: tuple[Any, ...] = ()
    if name == "write":
        specs = (recipe.context,) if own and recipe.context is not None else ()
        asked = (recipe.evaluate.max_new_tokens, task.encoder.fingerprint(), source_name(recipe.data.train) if recipe.data.train else None)
    method = [None if spec is None else [spec.name, dict(spec.options)] for spec in specs]
    return cache_folder("probe") / f"{hash_of(_FORMAT, name, _machine(task.device), model, engine, cut, method, asked)}.json"


@cache
def _machine(device: torch.device) -> str:
    """A hash of the machine and of the versions that run on it."""
    return hash_of({key: value for key, value in machine_facts(device).items() if key != "memory_bytes"}, versions())


def _read(file: Path) -> Measured | None:
    try:
        return Measured(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
