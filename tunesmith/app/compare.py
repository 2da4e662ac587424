"""Compare: every arm of a recipe on the same rows, and what that says.

Each arm is a run of its own, in a folder of the comparison; what was interrupted goes on with the run that it was in. Arms that would not fit into what is left of the budget are not
begun, and one that fails is left out: the report says so.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from tunesmith.app.anchor import anchored
from tunesmith.app.arms import arm_recipe, arms_of
from tunesmith.app.compare_document import build_comparison
from tunesmith.app.group import Group, finish, named, running, unfinished_or_new
from tunesmith.app.interruption import Interruption
from tunesmith.app.spending import spent_usd
from tunesmith.app.tune import plan
from tunesmith.core.errors import DiskFull, Interrupted, RunError, TunesmithError, UsageError
from tunesmith.core.events import Event, Stage, Warned
from tunesmith.core.files import write_json
from tunesmith.core.run import GroupDirectory, RunDirectory
from tunesmith.model.load import load_tokenizer
from tunesmith.recipe import ModelSpec, Recipe, load
from tunesmith.report import render_comparison

__all__ = ["compare", "resume_comparison"]

Say = Callable[[Event], None]


def compare(recipe: Recipe, *, progress: Say | None = None) -> Group:
    """Run the recipe's arms on the same rows, and say which may be the best, and which of these to take.

    Where the same was begun before and interrupted or failed, it goes on with that.
    Raises: RecipeError, for arms that are not known or do not apply; UsageError, where the budget holds no arm; TunesmithError, as `tune`, where every arm fails.
    """
    with Interruption() as interruption:
        say = interruption.checked(progress)
        recipe = anchored(recipe)
        arms = arms_of(recipe, is_causal=_is_causal(recipe.model))
        recipe = recipe.model_copy(update={"arms": dict(arms.changes)})
        return _run(unfinished_or_new(recipe, "arms", arms.run, say), recipe, say)


def _is_causal(model: ModelSpec) -> bool:
    """Whether a model goes on with a text, as any does that answers requests."""
    if model.is_endpoint:
        return True
    return load_tokenizer(model.source, revision=model.revision, trust_remote_code=model.trust_remote_code)[1].is_causal


def resume_comparison(directory: GroupDirectory, *, progress: Say | None = None) -> Group:
    """Go on with a comparison that was interrupted. Raises: RunError, where it is finished; as `compare`."""
    if directory.status == "done":
        raise RunError(f"{directory.path}: this comparison is finished. `tunesmith runs show {directory.path}` shows it.")
    with Interruption() as interruption:
        return _run(directory, load(directory.recipe), interruption.checked(progress))


def _run(directory: GroupDirectory, recipe: Recipe, say: Say) -> Group:
    """Finish every arm that the budget holds, then read them together. What is wrong with the recipe, found by its first arm, leaves no folder behind."""
    started, members = time.perf_counter(), dict(zip(directory.values, directory.members, strict=True))
    before, left_out, failures = directory.seconds, dict[str, str](), list[TunesmithError]()
    with running(directory, started):
        for number, (name, member) in enumerate(members.items()):
            spent = before + time.perf_counter() - started
            came = _attempt(directory, recipe, name, member, spent, say, f"{number + 1} of {len(members)}")
            if isinstance(came, TunesmithError):
                failures.append(came)
            if came is not None:
                left_out[name] = str(came)
                say(Warned(f"{name}: left out: {came}"))
        if failures and len(left_out) == len(members):
            raise type(failures[0])(f"no arm could be run. {next(iter(members))}: {failures[0]}")
        if len(left_out) == len(members):
            raise UsageError(f"budget: {recipe.budget:g} s hold no arm. {next(iter(members))}: {next(iter(left_out.values()))}")
        say(Stage("report", directory.id))
        write_json(directory.group_json, build_comparison(directory, recipe, left_out))
        render_comparison(directory)
    return Group(directory)


def _attempt(
    directory: GroupDirectory, recipe: Recipe, name: str, member: RunDirectory, spent: float, say: Say, place: str
) -> str | TunesmithError | None:
    """Run an arm, or go on with it. Returns: why there is no room for it, or what went wrong with it, which is no reason to lose the others; None where it is done."""
    num_done = sum(run.status == "done" for run in directory.runs)
    try:
        why = _no_room(directory, recipe, name, member, spent)
        if why:
            return why
        with named(member, num_done, len(directory.members)):
            finish(member, _recipe_of(directory, recipe, name, member), say, place)
    except (Interrupted, DiskFull):
        raise
    except TunesmithError as error:
        return type(error)(f"it failed: {str(error).removeprefix(f'{member.id}: ')}")
    return None


def _recipe_of(directory: GroupDirectory, recipe: Recipe, name: str, member: RunDirectory) -> Recipe:
    changes = (recipe.arms or {})[name] or []
    own = {"output_dir": str(member.path), "budget_usd": _usd_left(directory, recipe)}
    return arm_recipe(recipe, name, changes).model_copy(update=own)


def _usd_left(directory: GroupDirectory, recipe: Recipe) -> float | None:
    """Of `budget_usd`, which is for all arms together; None where there is none."""
    return None if recipe.budget_usd is None else recipe.budget_usd - sum(spent_usd(run.requests) for run in directory.runs)


def _no_room(directory: GroupDirectory, recipe: Recipe, name: str, member: RunDirectory, spent: float) -> str:
    """Why an arm is not begun; empty where it is. One that was begun is finished."""
    if member.recipe.is_file():
        return ""
    usd_left = _usd_left(directory, recipe)
    if usd_left is not None and usd_left <= 0 and _recipe_of(directory, recipe, name, member).model.is_endpoint:
        return f"all of {recipe.budget_usd:g} USD were spent."
    if recipe.budget is None:
        return ""
    left = recipe.budget - spent
    done = [run.read_json(run.report_json) for run in directory.runs if run.report_json.is_file()]
    predicted = _predicted(_recipe_of(directory, recipe, name, member), done) if left > 0 else 0.0
    if predicted <= left and left > 0:
        return ""
    if left <= 0:
        return f"{spent:.0f} s of {recipe.budget:.0f} s were spent."
    return f"it would take about {predicted:.0f} s, and {left:.0f} s of {recipe.budget:.0f} s are left."


def _predicted(recipe: Recipe, done: list[Mapping[str, Any]]) -> float:
    """Seconds: those of the training by its plan, corrected by what trainings before it took against theirs, and of the rest what that took at most."""
    planned = plan(recipe).train_seconds
    ratios = [
        run["cost"]["train_seconds"] / run["predicted"]["train_seconds"]
        for run in done
        if run["cost"]["train_seconds"] and run["predicted"]["train_seconds"]
    ]
    rest = max((run["cost"]["total_seconds"] - run["cost"]["train_seconds"] for run in done), default=0.0)
    return float(planned * (sum(ratios) / len(ratios) if ratios else 1.0) + rest)
