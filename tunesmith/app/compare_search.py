"""What the search of a comparison's arms found, for its document."""

from collections.abc import Mapping
from typing import Any

from tunesmith.app.outlook import outlook
from tunesmith.app.search import Search, Trial, trials_of
from tunesmith.app.validated import Validated, load_validated
from tunesmith.core.run import GroupDirectory
from tunesmith.recipe import Recipe

__all__ = ["at_the_edge", "searched_facts"]


def searched_facts(directory: GroupDirectory, recipe: Recipe, searches: Mapping[str, Search]) -> dict[str, Any]:
    """`search`: of each arm of which anything was tried `metric`, `higher_is_better`, `tried`, `changes` (what was taken), `is_stopped`, `edge` (lowest
    or highest, where the rate that was taken is that of those that were tried) and `train_seconds` of all trials; and `outlook`, what more rows would give.
    """
    found, curves = dict[str, Any](), dict[str, list[Validated]]()
    for name, one in searches.items():
        trials = trials_of(directory.search / name, recipe, name, (recipe.arms or {})[name] or [])
        if not trials:
            continue
        known = next((trial.told for trial in trials if trial.told.units), trials[0].told)
        found[name] = {
            "metric": known.select_by,
            "higher_is_better": known.higher_is_better,
            "tried": [_said(trial) for trial in trials],
            "changes": list(one.changes),
            "is_stopped": bool(one.cannot_win),
            "edge": _edge(recipe, trials, one),
            "train_seconds": sum(trial.told.train_seconds for trial in trials),
        }
        curves[name] = [trial.told for trial in trials if trial.changes == one.changes]
        whole = directory.by_value[name].validation
        if whole.is_file():
            curves[name].append(load_validated(whole))
    return {"search": found, "outlook": outlook(recipe, curves)}


def _said(trial: Trial) -> dict[str, Any]:
    told = trial.told
    return {
        "changes": list(trial.changes),
        "fraction": trial.fraction,
        "train_rows": told.train_rows,
        "value": told.value,
        "loss": told.loss,
    }


def at_the_edge(searched: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A warning for each arm whose best rate lies at an end of those that were tried."""
    beyond = {"lowest": "lower", "highest": "higher"}
    return [
        f"{name}: of the learning rates that were tried the {one['edge']} was best; a {beyond[one['edge']]} one may be better still."
        for name, one in searched.items()
        if one["edge"] and not one["is_stopped"]
    ]


def _edge(recipe: Recipe, trials: list[Trial], found: Search) -> str | None:
    if recipe.search != "auto":
        return None
    rates = sorted({trial.changes for trial in trials}, key=lambda changes: float(changes[0].partition("=")[2]))
    return {rates[0]: "lowest", rates[-1]: "highest"}.get(found.changes)
