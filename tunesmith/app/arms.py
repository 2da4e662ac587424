"""Arms: ways to adapt a model that `tunesmith compare` holds against each other, each the recipe with some changes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.app.anchor import anchored_change
from tunesmith.app.chosen_objective import choose_objective, kind_of
from tunesmith.app.dataset import PreparedData, prepare_data
from tunesmith.app.fitting import is_per_token, make_metrics, measured_metrics
from tunesmith.app.measurable import has_answer
from tunesmith.core import registry
from tunesmith.core.errors import DataError, MethodError, ObjectiveError, RecipeError, RunError, did_you_mean
from tunesmith.core.examples import Conversation
from tunesmith.core.files import hash_of_each
from tunesmith.core.significance import SIGNIFICANT_P
from tunesmith.core.types import Metric
from tunesmith.recipe import Recipe, dump, from_mapping
from tunesmith.recipe.overlays import METHOD_OVERLAYS
from tunesmith.recipe.text import parse_yaml
from tunesmith.report.numbers import numbered

__all__ = ["BASE", "MAJORITY", "Arms", "arm_recipe", "arms_of", "fewest_rows", "known_arms"]

BASE, MAJORITY = "base", "majority"
"""Arms of which nothing is run: the model as it is, which every run is held against anyway, and the most frequent label."""
_FREE = (BASE, MAJORITY)
_TRAINED = ("lora", "full")


@dataclass(frozen=True, slots=True)
class _Judged:
    """How an arm would be judged: what all arms have to have in common."""

    objective: str
    kind: str
    metric: str
    options: Mapping[str, Any]
    rows: str
    """A hash of the test rows."""
    source: str
    """Of the model."""


@dataclass(frozen=True, slots=True)
class Arms:
    """The arms of a comparison, checked against each other."""

    changes: Mapping[str, list[str]]
    """Name -> changes of the recipe, as on the command line."""

    @property
    def run(self) -> list[str]:
        """Those of which something is run."""
        return [name for name in self.changes if name not in _FREE]


def known_arms() -> dict[str, list[str]]:
    """Name -> changes of the recipe, as on the command line."""
    in_context = {name: ["method=none", f"context={name}"] for name in registry.names("strategy")}
    methods = (*registry.names("method"), *METHOD_OVERLAYS)
    trained = {name: [f"method={name}", "context=null"] for name in methods}
    both = {f"{method}+{name}": [f"method={method}", f"context={name}"] for method in methods for name in in_context}
    scratch = {"scratch": ["model.weights=random", "method=full", "context=null"]}
    return {BASE: [], MAJORITY: [], **in_context, **trained, **both, **scratch}


def arms_of(recipe: Recipe, *, is_causal: bool) -> Arms:
    """The recipe's arms, or the usual ones for its data and model.

    Args:
        is_causal: whether the model goes on with a text.
    Raises: RecipeError, for an arm that is not known, that cannot be judged as the others are, or that has no answer; whatever is wrong with the data.
    """
    known, found = known_arms(), dict[str, list[str]]()
    data = prepare_data(recipe)
    for name, changes in (recipe.arms or dict.fromkeys(_usual(recipe, data, is_causal=is_causal), None)).items():
        if changes is None and name not in known:
            raise _wrong(
                recipe,
                f"{name} is not known.{did_you_mean(name, known)} Of your own, say what it changes: {{{name}: [method=lora, method.r=64]}}.",
            )
        if changes and name in _FREE:
            raise _wrong(recipe, f"{name} is never run, so that nothing can be changed of it. Give what you change another name.")
        try:
            found[name] = [anchored_change(change) for change in (known[name] if changes is None else changes)]
        except RunError as error:
            raise _wrong(recipe, f"{name}: {error}") from None
    arms = Arms(found)
    if len(found) < 2:
        raise _wrong(recipe, f"a comparison needs two arms or more, found {', '.join(found) or 'none'}.")
    if not arms.run:
        raise _wrong(recipe, f"{', '.join(found)} train nothing and show nothing. Add an arm such as lora.")
    _check(recipe, data, arms)
    return arms


def fewest_rows(num_arms: int) -> int:
    """Test rows of which McNemar's exact test finds the largest difference, where each arm is held against all others (Holm): 2 / 2 ** rows below 0.05 / (arms - 1)."""
    return math.floor(math.log2(2 * (num_arms - 1) / SIGNIFICANT_P)) + 1


def arm_recipe(recipe: Recipe, name: str, changes: Sequence[str]) -> Recipe:
    """The recipe of an arm. Raises: RecipeError, for changes that do not go with it."""
    own = {**parse_yaml(dump(recipe), recipe.name), "arms": None, "budget": None, "search": "auto"}
    try:
        return from_mapping(own, name=recipe.name, where=f"{recipe.name}: arms.{name}", overrides=changes)
    except RecipeError as error:
        said = str(error).removeprefix("command line: ")
        raise RecipeError(said if said.startswith(f"{recipe.name}: arms.") else f"{recipe.name}: arms.{name}: {said}") from None


def _usual(recipe: Recipe, data: PreparedData, *, is_causal: bool) -> tuple[str, ...]:
    """The quickest first: of labels, of a language model that answers, of other heads, and of anything else."""
    judged = _judged(recipe, data)
    is_shown = is_causal and not data.sets and isinstance(data.rows[0], Conversation)
    majority = (MAJORITY,) if _has_majority(recipe, judged) else ()
    if recipe.model.is_endpoint:
        return (*majority, BASE, "few_shot")
    if judged.kind == "classification":
        return (*majority, BASE, *(("few_shot", "head") if is_shown else ("head", "bitfit")), *_TRAINED)
    if judged.kind == "generation":
        return (*majority, BASE, *(("few_shot", "prompt") if is_shown else ()), *_TRAINED)
    return (BASE, *_TRAINED) if has_answer(recipe, judged.kind) else ("head", *_TRAINED)


def _judged(recipe: Recipe, data: PreparedData) -> _Judged:
    name, objective = choose_objective(recipe.objective, data.rows, data.labels if data.sets else None)
    metric = measured_metrics(recipe, name, objective, data)[0]
    options = next((spec.options for spec in recipe.evaluate.metrics or () if spec.name == metric), {})
    if not data.test:
        raise RecipeError(f"{recipe.name}: there are no test rows to compare the arms on. Set data.split.test.")
    if kind_of(objective) == "policy":
        raise _wrong(
            recipe,
            f"{name} is of answers that the model writes itself: how long they will be, and so what an arm takes, is not known before. "
            "Tune each such recipe alone, and hold the runs against each other: tunesmith runs compare RUN RUN.",
        )
    return _Judged(name, kind_of(objective), metric, dict(options), hash_of_each(data.test), recipe.model.source)


def _judged_arm(name: str, recipe: Recipe, own: Recipe, data: PreparedData) -> _Judged:
    """As `_judged`, of an arm. `data`: of the comparison. Raises: TunesmithError, which names the arm."""
    try:
        return _judged(own, data if _has_same_data(own, recipe) else prepare_data(own))
    except (RecipeError, DataError, MethodError, ObjectiveError) as error:
        said = str(error).removeprefix(f"{recipe.name}: ").removeprefix("arms: ")
        raise type(error)(f"{recipe.name}: arms.{name}: {said}") from None


def _has_majority(recipe: Recipe, judged: _Judged) -> bool:
    return judged.kind == "classification" and bool(registry.load("metric", judged.metric).needs == "label")


def _has_same_data(one: Recipe, other: Recipe) -> bool:
    """Whether the same rows would be read and split alike."""
    return (one.data, one.evaluate.domains, one.seed) == (other.data, other.evaluate.domains, other.seed)


def _check(recipe: Recipe, data: PreparedData, arms: Arms) -> None:
    """Raises: RecipeError, before anything is run. `data`: of the recipe."""
    recipes = {name: arm_recipe(recipe, name, arms.changes[name]) for name in arms.run}
    found = {name: _judged_arm(name, recipe, one, data) for name, one in recipes.items()}
    first_name, first = next(iter(found.items()))
    for name, one in found.items():
        if recipes[name].trains and recipes[name].context is not None and one.kind != "generation":
            why = (
                f"{one.objective} learns from judged answers"
                if one.kind == "preference"
                else f"the head of {one.objective} reads the text alone"
            )
            raise _wrong(recipe, f"{name}: {why}, without a context. Learn the labels or answers as such: objective=sft.")
        for what, own, other in (
            ("the objective", one.objective, first.objective),
            ("the metric that decides", (one.metric, one.options), (first.metric, first.options)),
            ("the test rows", one.rows, first.rows),
        ):
            if own != other:
                raise _wrong(
                    recipe,
                    f"{name}: {what} would be another than that of {first_name}, so that they could not be compared. Leave that to all arms alike.",
                )
        if one.source != first.source and is_per_token(first.metric):
            raise _wrong(
                recipe,
                f"{name}: has another model than {first_name}, and {first.metric} is per token. Set evaluate.metrics=[bits_per_byte].",
            )
    metric: Metric = make_metrics(recipe, [first.metric], data.labels)[first.metric]
    if metric.higher_is_better is None:
        raise _wrong(recipe, f"more of {first.metric} is neither better nor worse. Put another metric first: evaluate.metrics.")
    needed = fewest_rows(len(arms.changes)) if metric.is_proportion else 1
    if len(data.test) < needed:
        raise DataError(
            f"{recipe.name}: {numbered(len(data.test), 'test row')} cannot tell {len(arms.changes)} arms apart: it takes {needed} until even rows that one arm alone has all right are certain. Raise data.split.test, or bring more rows."
        )
    if MAJORITY in arms.changes and not _has_majority(recipe, first):
        why = f"{first.metric} asks for more than a label" if first.kind == "classification" else "answers are open"
        raise _wrong(recipe, f"majority: {why}. Leave it out.")
    if BASE in arms.changes and not has_answer(recipe, first.kind):
        raise _wrong(recipe, f"base: the model as it is has no head for {first.objective}, and so no answer. Leave it out.")
    if BASE in arms.changes and not any(one.model == recipe.model and one.data == recipe.data for one in recipes.values()):
        raise _wrong(
            recipe,
            "base: every arm changes the model or the data, so that none is held against the model as it is. Leave base out, or add an arm that does not.",
        )


def _wrong(recipe: Recipe, text: str) -> RecipeError:
    return RecipeError(f"{recipe.name}: arms: {text}")
