"""A probe of some ten seconds: what a token costs on this machine, of the recipe's own model and rows, in each kind of pass.

Every pass is the engine's own: rows are read as they are judged, steps are those of the training loop, answers are written as in evaluation. What was found is kept in the cache under the
machine, the model, the versions and how the rows are cut into steps, so that nothing is probed twice. A step is known of each method, and of the first that was probed for all others of its
kind; what a training took in the end takes the place of what its probe showed.
"""

import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from tunesmith.app.machine import begin_peak_memory, machine_facts, peak_memory_bytes, resident_bytes, versions
from tunesmith.app.plan import sizes, step_plan
from tunesmith.app.task import Say, Task, attach, learning_rate, prepare, rows_to_answer
from tunesmith.app.work import training_work
from tunesmith.comparison.cost_model import Pass, Rates, Work, pass_of, trained_bytes, trained_rate
from tunesmith.core.allocator import freed_memory_scatters, give_back_freed_memory
from tunesmith.core.events import Stage, silence
from tunesmith.core.files import cache_folder, hash_of, write_json
from tunesmith.core.types import HeadObjective, Row
from tunesmith.engine.generate import generate
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.packing import evaluation_batches, training_steps
from tunesmith.recipe import Recipe

__all__ = ["known_rates", "probed", "remember"]

_FORMAT = 2
"""Of what is kept: figures of another mean something else."""
_SECONDS = 2.0
"""That a pass is measured for, after one that is not; at least one more."""
_ROWS = 400
"""That are read, at most."""
_WRITTEN_TOKENS = 8
_PROMPT_TOKENS = 32
"""Of each prompt, the last: what is read before an answer is another pass."""
_WRITING_TOKENS = 8192
"""Of prompts and answers that are kept at a time."""


_TITLES: Mapping[str, str] = {
    "read": "reading",
    "write": "writing",
    "full": "training all",
    "adapter": "training a small part",
    "head": "training a head",
}
_TRAINED = ("full", "adapter", "head")


@dataclass(frozen=True, slots=True)
class _Measured:
    """What a pass showed."""

    seconds_per_token: float
    bytes_per_token: float
    prepare_seconds: float


@dataclass(frozen=True, slots=True)
class _Shown:
    """What running a pass showed."""

    seconds_per_token: float
    tokens: int
    """The most that were computed at a time."""
    work: Work | None = None
    """Of the steps, where it trained."""


def known_rates(task: Task, passes: Collection[Pass], held_bytes: int = 0) -> Rates | None:
    """What was measured before of the task's model on this machine, on rows cut alike; None, where one of the passes was not. Of steps, those of the task's own method come first.

    Args:
        held_bytes: what the process holds with the model loaded; 0 where that is not known.
    """
    found = {name: _read(_file(task, name, own=True)) or _read(_file(task, name)) for name in passes}
    kept = {name: one for name, one in found.items() if one is not None}
    if len(kept) < len(passes):
        return None
    head = _read(_file(task, "head", own=True))
    kept |= {"head": head} if head is not None else {}
    return Rates(
        prepare_seconds=min(one.prepare_seconds for one in kept.values()),
        seconds_per_token={name: one.seconds_per_token for name, one in kept.items()},
        resident_bytes=held_bytes,
        bytes_per_token={name: one.bytes_per_token for name, one in kept.items()},
        scatters=_scatters(task),
    )


def probed(task: Task, recipes: Mapping[Pass, Recipe], say: Say, *, own: bool = False) -> None:
    """Measure what is not known of the task's model yet.

    Args:
        task: tells what is known; nothing is done with its model.
        recipes: for each pass a recipe that has it, of the same model and rows.
        own: whether a step has to be known of the task's own method, or may be of any other of its kind.
    """
    missing = [name for name in recipes if _read(_file(task, name, own=own)) is None]
    asked, trained = [name for name in missing if name not in _TRAINED], [name for name in missing if name in _TRAINED]
    sittings = [[*asked, *trained[:1]], *([name] for name in trained[1:])] if missing else []
    for sitting in sittings:
        say(Stage("probe", ", ".join(_TITLES[name] for name in sitting)))
        for name, measured in _probe(recipes[sitting[-1]], sitting).items():
            write_json(_file(task, name, own=own), asdict(measured))
        give_back_freed_memory()


def remember(task: Task, work: Work, seconds: float, held_bytes: int) -> None:
    """Keep what a training took, in place of what its probe showed; nothing where it is not known what reading takes.

    Args:
        task: whose method was trained.
        work: of the steps that were made.
        seconds: that they took.
        held_bytes: what the process held before the training.
    """
    name = pass_of(work)
    rates, before = known_rates(task, ["read"], held_bytes), _read(_file(task, "read"))
    if name is None or rates is None or before is None or not work.train_tokens:
        return
    per_token = trained_bytes(work, rates, peak_memory_bytes(task.device)) if held_bytes else 0.0
    measured = _Measured(trained_rate(work, rates, seconds), per_token, before.prepare_seconds)
    write_json(_file(task, name, own=True), asdict(measured))


def _probe(recipe: Recipe, passes: Sequence[Pass]) -> dict[Pass, _Measured]:
    """Run passes with one model; what trains comes last, as it changes it."""
    started = time.perf_counter()
    task = prepare(recipe, silence)
    prepared, found = time.perf_counter() - started, dict[Pass, _Measured]()
    for name in passes:
        give_back_freed_memory()
        before = resident_bytes(task.device)
        begin_peak_memory(task.device)
        shown = _PASSES[name](task)
        peak = peak_memory_bytes(task.device)
        if shown.work is None:
            found[name] = _Measured(shown.seconds_per_token, (max(0, peak - before) if before else 0) / shown.tokens, prepared)
            continue
        read = found.get("read") or _read(_file(task, "read"))
        rates = Rates(
            prepare_seconds=prepared,
            seconds_per_token={"read": read.seconds_per_token if read else 0.0},
            resident_bytes=before,
            scatters=_scatters(task),
        )
        per_token = trained_bytes(shown.work, rates, peak) if before else 0.0
        found[name] = _Measured(trained_rate(shown.work, rates, shown.seconds_per_token * shown.work.train_tokens), per_token, prepared)
    return found


def _reading(task: Task) -> _Shown:
    """Rows as they are judged."""
    rows = _some(task.splits["train"].rows, _ROWS)
    counts, seconds, most = list[int](), list[float](), 1
    task.forward.eval()
    with torch.no_grad():
        for batch, _ in evaluation_batches(rows, task.micro_batch_tokens, task.model.facts):
            started = time.perf_counter()
            on_device = batch.to(task.device)
            said = (
                task.forward.hidden(on_device)
                if isinstance(task.objective, HeadObjective)
                else task.forward.logprobs(on_device, with_entropy=False)[0]
            )
            float(said.sum())  # a GPU is waited for
            seconds.append(time.perf_counter() - started)
            counts.append(batch.stream.num_tokens)
            most = max(most, counts[-1])
            if sum(seconds[1:]) > _SECONDS:
                break
    return _Shown(_rate(seconds, counts), most)


def _training(task: Task) -> _Shown:
    """Whole steps of the loop."""
    whole, groups = training_work(task), attach(task)
    settings, steps = task.recipe.train, step_plan(task)
    optimizer = make_optimizer(
        groups, name=settings.optimizer, weight_decay=settings.weight_decay, momentum=settings.momentum, betas=settings.betas
    )
    plan = TrainingPlan(
        max(2, steps.num_steps), steps.steps_per_epoch, learning_rate(task.recipe, task.method), "constant", 0, settings.max_grad_norm
    )
    batches = training_steps(task.splits["train"].rows, replace(steps, num_steps=max(2, steps.num_steps)), task.objective, task.model.facts)
    counts, seconds = list[list[int]](), list[float]()
    for step in train(task.forward, task.objective, _seen(batches, counts), plan, TrainingState(optimizer)):
        seconds.append(step.seconds)
        if sum(seconds[1:]) > _SECONDS or (len(seconds) > 1 and seconds[0] > _SECONDS):
            break
    totals, most = [sum(count) for count in counts[: len(seconds)]], max(max(count) for count in counts)
    done = replace(
        whole, num_steps=len(seconds), train_tokens=sum(totals), epoch_tokens=min(whole.epoch_tokens, sum(totals)), step_tokens=most
    )
    return _Shown(_rate(seconds, totals), most, done)


def _writing(task: Task) -> _Shown:
    """Answers, as many at a time as there will be."""
    examples = task.splits["test"].examples
    places = rows_to_answer(task, examples)
    prompts = task.encoder.prompts([examples[place] for place in places])
    room = round(fmean(map(len, prompts))) + task.recipe.evaluate.max_new_tokens
    short = [prompt[-_PROMPT_TOKENS:] for prompt in prompts[: max(1, _WRITING_TOKENS // room)]]
    generate(task.forward, short[:1], max_new_tokens=2, stop_tokens=())  # the first one tries the cache
    times = list[float]()
    for count in (1, 1 + _WRITTEN_TOKENS):
        started = time.perf_counter()
        generate(task.forward, short, max_new_tokens=count, stop_tokens=())
        times.append(time.perf_counter() - started)
    return _Shown(max(0.0, times[1] - times[0]) / (len(short) * _WRITTEN_TOKENS), len(short) * (_PROMPT_TOKENS + _WRITTEN_TOKENS))


_PASSES: Mapping[str, Callable[[Task], _Shown]] = {
    "read": _reading,
    "write": _writing,
    "full": _training,
    "adapter": _training,
}


def _seen(steps: Iterator[Any], counts: list[list[int]]) -> Iterator[Any]:
    for step in steps:
        counts.append([batch.stream.num_tokens for batch in step])
        yield step


def _rate(seconds: Sequence[float], counts: Sequence[int]) -> float:
    """Without the first, which warms up what the others find warm, unless it is alone."""
    at = 1 if len(seconds) > 1 else 0
    return sum(seconds[at:]) / sum(counts[at:])


def _some(rows: Sequence[Row], most: int) -> list[Row]:
    return [rows[place] for place in islice(range(0, len(rows), math.ceil(len(rows) / most)), most)]


def _scatters(task: Task) -> bool:
    return task.device.type == "cpu" and freed_memory_scatters()


def _file(task: Task, name: Pass, *, own: bool = False) -> Path:
    """In the cache, named by a hash of what a token's time depends on, but for the rows themselves: their length counts in doublings. `own`: of steps, those of the task's own method."""
    recipe, source = task.recipe, task.model.source
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
    method = [recipe.method.name, dict(recipe.method.options)] if own and name in _TRAINED else []
    return cache_folder("probe") / f"{hash_of(_FORMAT, name, _machine(task.device), model, engine, cut, *method)}.json"


@cache
def _machine(device: torch.device) -> str:
    """A hash of the machine and of the versions that run on it."""
    return hash_of({key: value for key, value in machine_facts(device).items() if key != "memory_bytes"}, versions())


def _read(file: Path) -> _Measured | None:
    try:
        return _Measured(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
