"""Advise: what of a comparison fits this machine, what each arm would take, and which are worth trying, before anything runs."""

import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.app.anchor import anchored
from tunesmith.app.arms import BASE, MAJORITY, arm_recipe, known_arms
from tunesmith.app.chosen_method import chosen_method
from tunesmith.app.in_context import check_context
from tunesmith.app.machine import available_memory_bytes, machine_facts, resident_bytes
from tunesmith.app.measured_arms import measured_before
from tunesmith.app.placing import require_training
from tunesmith.app.predicting import NOT_PREDICTED, work_of
from tunesmith.app.probe import probe
from tunesmith.app.rates import known_rates, unknown
from tunesmith.app.retention_sets import read_retention
from tunesmith.app.task import Task, prepare
from tunesmith.app.work import base_work
from tunesmith.comparison.advice import WANTS, Reason, Situation, Want, is_worth_trying, reasons_for
from tunesmith.comparison.cost_model import Pass, Predicted, Work, disk_bytes, kept_bytes, passes_of, predict
from tunesmith.core.allocator import give_back_freed_memory
from tunesmith.core.errors import RecipeError, TunesmithError, UsageError, one_line
from tunesmith.core.events import Event, Warned, silence
from tunesmith.core.system import memory_bytes
from tunesmith.recipe import Recipe, dump, from_mapping
from tunesmith.recipe.text import parse_yaml, write_yaml

__all__ = ["advise", "recommended", "short"]

Say = Callable[[Event], None]
_FREE = (BASE, MAJORITY)
_NOT_TRIED = Predicted(0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Arm:
    """An arm that applies."""

    task: Task
    work: Work


@dataclass(frozen=True, slots=True)
class _Limits:
    """What this machine has, and what a process holds with the model loaded; 0 where it does not say."""

    memory_bytes: int
    disk_bytes: int
    resident_bytes: int

    def hold(self, work: Work) -> bool:
        """Whether there is room for what is kept of an arm's parameters, whatever its activations take; also where that is not known."""
        return not self.memory_bytes or self.resident_bytes + kept_bytes(work) <= self.memory_bytes


def advise(recipe: Recipe, *, want: Want | None = None, probes: bool = True, progress: Say | None = None) -> dict[str, Any]:
    """What to compare, why, and what it would take. Nothing is trained but for a few steps of the probe, and nothing is written but its figures.

    Args:
        recipe: its arms of its own are looked at beside those that are known; its budget is kept to.
        want: what the adapted model is for; None: new behaviour, and the document says that it was assumed.
        probes: whether what is not known of this model on this machine is measured, in some ten seconds.
    Returns: a document of schema `tunesmith/advise/1`. All its seconds and bytes are predictions.
    Raises: UsageError, for another `want`; TunesmithError, for what is wrong with the recipe, its data or its model.
    """
    if want is not None and want not in WANTS:
        raise UsageError(f"want: {want}: expected one of {', '.join(WANTS)}.")
    say = progress or silence
    recipe = anchored(recipe)
    _require_weights(recipe)
    task = prepare(_plain(recipe), say)
    _require_foretold(task)
    give_back_freed_memory()
    limits = _limits(recipe, task, say)
    situation = _situation(task, want or "behaviour")
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of what libraries will rename
        arms, left_out = _applying(recipe, task)
    if probes:
        _probe(arms, limits, say)
        arms = {name: _arm(arm.task) for name, arm in arms.items()}  # by what the probe showed of answers
    predicted = _predicted(arms, task, limits)
    measured = measured_before(task.kind)
    reasons = {
        name: [*(reason for part in _parts(recipe, name) for reason in reasons_for(part, situation)), *measured.get(name, ())]
        for name in [*_free(task), *arms]
    }
    entries = {name: _entry(predicted[name], arms[name].work if name in arms else None, reasons[name], limits) for name in reasons}
    chosen = recommended(entries, recipe.budget)
    made = recipe.model_copy(update={"arms": {name: _changes(recipe, name) for name in chosen}})
    return {
        "schema": "tunesmith/advise/1",
        "name": recipe.name,
        "want": situation.want,
        "assumed": want is None,
        "task": {"objective": task.objective_name, "kind": task.kind},
        "model": task.model.source.name,
        "data": {"source": recipe.data.named, **{f"{name}_rows": len(split.examples) for name, split in task.splits.items() if name in ("train", "validation", "test")}},
        "machine": machine_facts(task.device) | {"available_memory_bytes": limits.memory_bytes, "free_disk_bytes": limits.disk_bytes},
        "probe": _probe_facts(arms, task, limits),
        "arms": entries,
        "left_out": left_out,
        "recommended": chosen,
        "recipe": short(made),
    }  # fmt: skip


def _require_weights(recipe: Recipe) -> None:
    """Raises: UsageError, for a model that is somewhere else."""
    if recipe.model.is_endpoint:
        raise UsageError(
            f"{recipe.name}: model: {recipe.model.source} is behind an endpoint: none of its weights are here to train, or to probe. Name a model of this machine; tunesmith compare tries contexts of either."
        )


def _plain(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"arms": None, "budget": None, "output_dir": None})


def _situation(task: Task, want: Want) -> Situation:
    context, facts = task.recipe.context, task.model.facts
    return Situation(
        want=want,
        kind=task.kind,
        num_rows=len(task.splits["train"].examples),
        num_parameters=facts.num_parameters,
        is_causal=facts.is_causal,
        has_domains=bool(task.data.domains),
        has_wordings=len((context.options.get("templates") if context else None) or ()) > 1,
    )


def _changes(recipe: Recipe, name: str) -> list[str] | None:
    return (recipe.arms or {}).get(name)


def _parts(recipe: Recipe, name: str) -> list[str]:
    """The method and the strategy of an arm of the recipe's own, or that its name joins; else its name."""
    changes = _changes(recipe, name)
    if not changes:
        return name.split("+")
    one = arm_recipe(recipe, name, changes)
    return [*([one.method.name] if one.trains else []), *([one.context.name] if one.context else [])]


def _free(task: Task) -> list[str]:
    """Arms of which nothing is run."""
    return [*([MAJORITY] if task.kind == "classification" else []), BASE]


def _applying(recipe: Recipe, task: Task) -> tuple[dict[str, _Arm], dict[str, str]]:
    """The arms that apply to the data and the model, and why the others do not."""
    found, left_out, prepared = dict[str, _Arm](), dict[str, str](), dict[str, Task]()
    known = known_arms()
    alone = {
        name: changes for name, changes in known.items() if "+" not in name
    }  # a method and a context are looked at where the recipe names them
    for name, changes in {**alone, **(recipe.arms or {})}.items():
        if name in _FREE:
            continue
        try:
            one = _plain(arm_recipe(recipe, name, known.get(name, []) if changes is None else changes))
            found[name] = _arm(_task_of(one, task, prepared))
        except TunesmithError as error:
            left_out[name] = one_line(error).removeprefix(f"{recipe.name}: ")
    return found, left_out


def _task_of(recipe: Recipe, task: Task, prepared: dict[str, Task]) -> Task:
    """The task of an arm: that of the recipe with another method, where model, data and engine are the same. Random weights cost what others do."""
    same, alike = (
        ("data", "evaluate", "engine", "objective", "seed"),
        recipe.model.model_copy(update={"weights": task.recipe.model.weights}),
    )
    if alike == task.recipe.model and all(getattr(recipe, key) == getattr(task.recipe, key) for key in same):
        return replace(task, recipe=recipe, method=chosen_method(recipe))
    key = dump(recipe.model_copy(update={"method": task.recipe.method, "context": task.recipe.context, "train": task.recipe.train}))
    if key not in prepared:
        _require_weights(recipe)
        prepared[key] = prepare(recipe, silence)
    return replace(prepared[key], recipe=recipe, method=chosen_method(recipe))


def _arm(task: Task) -> _Arm:
    """Raises: TunesmithError, where the arm does not fit the model or the data, or nobody knows what it takes."""
    check_context(task)
    _require_foretold(task)
    require_training(task)
    return _Arm(task, work_of(task, read_retention(task), asks_base=False))


def _require_foretold(task: Task) -> None:
    """Raises: RecipeError, where it learns from answers that are not written yet."""
    if task.kind == "policy":
        raise RecipeError(
            f"{task.recipe.name}: objective: {task.objective_name} learns from answers that the model writes itself, and what these take is not known before. Tune it for a few steps: tunesmith tune RECIPE train.max_steps=4."
        )


def _probe(arms: Mapping[str, _Arm], limits: _Limits, say: Say) -> None:
    """Measure each kind of pass once a model, but for what would not fit."""
    for group in _by_model(arms).values():
        tasks = dict[Pass, Task]()
        for arm in group:
            for name in passes_of(arm.work) if limits.hold(arm.work) else ():
                tasks.setdefault(name, arm.task)
        missing = {name: task.recipe for name, task in tasks.items() if unknown(task, [name], own=False)}
        probe(missing, say, for_all=True)


def _by_model(arms: Mapping[str, _Arm]) -> dict[int, list[_Arm]]:
    groups = dict[int, list[_Arm]]()
    for name in sorted(arms, key=lambda name: name != "lora"):  # of what trains a small part, the most usual one is probed
        groups.setdefault(id(arms[name].task.model), []).append(arms[name])
    return groups


def _probe_facts(arms: Mapping[str, _Arm], task: Task, limits: _Limits) -> dict[str, Any] | None:
    """What the probe measured of the recipe's own model; None where it was not probed."""
    passes = list(dict.fromkeys(name for arm in arms.values() if arm.task.model is task.model for name in passes_of(arm.work)))
    rates = known_rates(task, [name for name in passes if name != "embed"] or ["read"], limits.resident_bytes)
    return None if rates is None else asdict(rates)


def _predicted(arms: Mapping[str, _Arm], task: Task, limits: _Limits) -> dict[str, Predicted]:
    found = {MAJORITY: _NOT_TRIED, BASE: _from_rates(task, base_work(task), limits)}
    return found | {name: _from_rates(arm.task, arm.work, limits) for name, arm in arms.items()}


def _from_rates(task: Task, work: Work, limits: _Limits) -> Predicted:
    rates = known_rates(task, passes_of(work), limits.resident_bytes)
    return NOT_PREDICTED if rates is None else predict(work, rates)


def _limits(recipe: Recipe, task: Task, say: Say) -> _Limits:
    memory = available_memory_bytes(task.device) if task.device.type == "cuda" or memory_bytes() else 0
    if not memory:
        say(Warned("this system does not say how much memory it has: whether an arm fits is not known."))
    folder = Path(recipe.output_dir or ".").absolute()
    place = next(one for one in (folder, *folder.parents) if one.is_dir())
    return _Limits(memory, shutil.disk_usage(place).free, resident_bytes(task.device))


def _entry(predicted: Predicted, work: Work | None, reasons: Sequence[Reason], limits: _Limits) -> dict[str, Any]:
    disk = 0 if work is None else disk_bytes(work)
    return {
        "fits": disk <= limits.disk_bytes and (work is None or limits.hold(work)) and _fits(predicted.peak_memory_bytes, limits),
        "worth_trying": is_worth_trying(reasons),
        **asdict(predicted),
        "disk_bytes": disk,
        "reasons": [{"text": one.text, "weight": one.weight, "source": one.source.name, "address": one.source.address} for one in reasons],
    }


def _fits(memory_bytes: int | None, limits: _Limits) -> bool | None:
    if memory_bytes is None or not limits.memory_bytes:
        return True if memory_bytes == 0 else None
    return memory_bytes <= limits.memory_bytes


def recommended(arms: Mapping[str, Mapping[str, Any]], budget: float | None) -> list[str]:
    """The arms of the comparison to run: what costs nothing, and what is worth trying, fits, and has room in the budget, the quickest first; where that is nothing, the quickest that fits.

    Args:
        arms: as the document has them.
        budget: seconds; None: as long as it takes.
    """
    fitting = {name: one for name, one in arms.items() if name not in _FREE and one["fits"] is not False}
    by_time = sorted(fitting, key=lambda name: fitting[name]["total_seconds"] or 0.0)
    worth = [name for name in by_time if fitting[name]["worth_trying"]] or by_time[:1]
    left, kept = float("inf") if budget is None else budget - ((arms.get(BASE) or {}).get("total_seconds") or 0.0), list[str]()
    for name in worth:
        seconds = fitting[name]["total_seconds"] or 0.0
        if seconds <= left:
            kept.append(name)
            left -= seconds
    if not kept and budget is not None and worth:
        shortest = fitting[worth[0]]["total_seconds"]
        raise UsageError(
            f"budget: {budget:g} s hold no arm: {worth[0]}, the quickest that is worth trying, is predicted to take {shortest:.0f} s, after asking the base."
        )
    return [*(name for name in arms if name in _FREE), *kept]


def short(recipe: Recipe) -> str:
    """The recipe as YAML, without what is as it would be anyway."""
    whole = parse_yaml(dump(recipe), recipe.name)
    sources = {"train": whole["data"]["train"]} if whole["data"]["train"] else {"mix": whole["data"]["mix"]}
    least = {
        "name": recipe.name,
        "model": whole["model"]["source"],
        "data": sources,
        **{key: _named(whole[key]) for key in ("method", "objective")},
    }
    usual = parse_yaml(dump(from_mapping(least, name=recipe.name)), recipe.name)
    kept = _less(whole, usual)
    kept["name"], kept["model"], kept["data"] = (
        recipe.name,
        {"source": least["model"], **kept.get("model", {})},
        {**sources, **kept.get("data", {})},
    )
    for key in ("method", "objective"):
        if least[key]:
            kept[key] = {"name": least[key], **kept.get(key, {})}
    if recipe.arms and not any(recipe.arms.values()):
        kept["arms"] = list(recipe.arms)
    return write_yaml({key: kept[key] for key in whole if key in kept})


def _named(section: Mapping[str, Any] | str | None) -> str | None:
    return section if section is None or isinstance(section, str) else str(section["name"])


def _less(whole: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """What of `whole` differs from `usual`, sections key by key."""
    found = dict[str, Any]()
    for key, value in whole.items():
        other = usual.get(key)
        if value == other:
            continue
        found[key] = _less(value, other) if isinstance(value, Mapping) and isinstance(other, Mapping) and other else value
    return found
