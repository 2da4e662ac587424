"""group.json: what the runs of a group say together."""

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from tunesmith.app.fitting import recorded_metric
from tunesmith.app.places import places
from tunesmith.app.predictions import read_predictions
from tunesmith.comparison.halving import best_first
from tunesmith.core import registry
from tunesmith.core.crossed import Stats, difference, mean
from tunesmith.core.errors import RunError
from tunesmith.core.run import GroupDirectory, RunDirectory
from tunesmith.core.types import Metric
from tunesmith.evaluation.data_curve import data_curve
from tunesmith.recipe import Recipe, dump

__all__ = ["build_group_document", "group_facts"]

EntryOf = Callable[[Metric, Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]], dict[str, Any]]
"""From a metric, its entries in the runs' reports, and what the test rows contributed in each run, to its entry in the group's."""


@dataclass(frozen=True, slots=True)
class _Done:
    """A run of the group, read."""

    directory: RunDirectory
    value: float
    """Its seed, or the part of the training rows that it learned from."""
    report: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]
    """Of predictions.jsonl."""


def build_group_document(directory: GroupDirectory, recipe: Recipe) -> dict[str, Any]:
    """The document, as docs/report-format.md describes it. Raises: RunError, where a run was removed, or was judged on other test rows."""
    runs = [_read(directory, run, value) for run, value in zip(directory.members, directory.values, strict=True)]
    first, kind = runs[0].report, directory.kind
    made = _seeds(recipe, runs) if kind == "seeds" else _curve(recipe, runs)
    option = f"--seeds {len(runs)}" if kind == "seeds" else f"--curve {','.join(f'{run.value:g}' for run in runs)}"
    return {
        "schema": f"tunesmith/{kind}/1",
        **group_facts(directory, recipe),
        "task": first["task"],
        "model": first["model"]["name"],
        "data": {"source": recipe.data.named, "validation_rows": _rows(first, "validation"), "test_rows": _rows(first, "test")},
        **made,
        "cost": {key: sum(run.report["cost"][key] or 0 for run in runs) for key in ("train_seconds", "total_seconds", "tokens")},
        "recipe": dump(recipe),
        "command": f"tunesmith tune {shlex.quote(str(directory.recipe))} {option} output_dir={shlex.quote(str(directory.path) + '-again')}",
        "warnings": list(dict.fromkeys(warning for run in runs for warning in run.report["warnings"])),
    }


def group_facts(directory: GroupDirectory, recipe: Recipe) -> dict[str, Any]:
    """What the document of every group begins with: what this is."""
    return {
        "group": directory.id,
        "directory": str(directory.path),
        "name": recipe.name,
        "description": recipe.description,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "status": "done",
    }


def _read(group: GroupDirectory, run: RunDirectory, value: float) -> _Done:
    if not run.report_json.is_file():
        raise RunError(f"{run.path}: was removed, or is not finished. `tunesmith runs resume {group.path}` trains it.")
    return _Done(run, value, run.read_json(run.report_json), read_predictions(run))


def _rows(report: Mapping[str, Any], split: str) -> int:
    return int(report["data"]["splits"][split]["rows"])


def _each_place(recipe: Recipe, runs: Sequence[_Done], entry_of: EntryOf) -> dict[str, Any]:
    """`metrics`, `tasks` and `domains` as in report.json, each metric's entry made by `entry_of`."""
    made: dict[str, Any] = {"metrics": {}, "tasks": {}, "domains": {}}
    for place in places(runs[0].report):
        entries, measured = dict[str, Any](), [place.metrics(run.report) for run in runs]
        for name in (name for name in measured[0] if all(name in metrics for metrics in measured)):
            found = [place.stats(run.lines, name) for run in runs]
            strange = next((run for run, one in zip(runs, found, strict=True) if sorted(one["row"]) != sorted(found[0]["row"])), None)
            if strange is not None:
                raise RunError(
                    f"{strange.directory.path}: was judged on other test rows than {runs[0].directory.id}: the data changed meanwhile. Start a new group."
                )
            entries[name] = entry_of(recorded_metric(recipe, name), [metrics[name] for metrics in measured], found)
        if place.kind == "test":
            made["metrics"] = entries
        else:
            made[f"{place.kind}s"][place.name] = {"metrics": entries}
    return made


def _seeds(recipe: Recipe, runs: Sequence[_Done]) -> dict[str, Any]:
    seeds = [int(run.value) for run in runs]

    def entry(metric: Metric, entries: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        by_seed, values = dict(zip(seeds, found, strict=True)), [one["tuned"]["value"] for one in entries]
        has_base = all("base" in one for one in found)
        known = np.array([math.nan if value is None else value for value in values])
        return {
            "higher_is_better": metric.higher_is_better,
            "rows": entries[0]["rows"],
            "values": values,
            "tuned": asdict(mean(Stats.of(by_seed), metric.value)),
            "sd": float(known.std(ddof=1)),
            "min": float(known.min()),
            "max": float(known.max()),
            "base": entries[0]["base"],
            "difference": asdict(difference(Stats.of(by_seed), Stats.of(by_seed, "base"), metric.value)) if has_base else None,
        }

    return {
        "runs": [{"run": run.directory.id, "seed": int(run.value), **_training(run)} for run in runs],
        **_each_place(recipe, runs, entry),
        "choice": _choice(runs),
    }


def _choice(runs: Sequence[_Done]) -> dict[str, Any] | None:
    """The run whose weights are the best on the validation split; of equal ones that with the lower validation loss. The test split has no say."""
    best = [_best(run.report) for run in runs]
    if not all(best):
        return None
    metric = best[0]["metric"]
    higher_is_better = metric != "loss" and registry.load("metric", metric).higher_is_better is True
    at = best_first([(one["value"], one["loss"]) for one in best], higher_is_better=higher_is_better)[0]
    return {
        "run": runs[at].directory.id,
        "directory": str(runs[at].directory.path),
        "metric": metric,
        "value": best[at]["value"],
        "by": "validation",
    }


def _best(report: Mapping[str, Any]) -> dict[str, Any]:
    """The validation whose weights were kept: `{step, epoch, metric, value, loss}`; empty where there was none."""
    best = report["curves"]["best"]
    if best is None:
        return {}
    at = next(one for one in report["curves"]["validation"] if one["step"] == best["step"])
    return {**best, "epoch": at["epoch"], "loss": at["loss"]}


def _training(run: _Done) -> dict[str, Any]:
    curves = run.report["curves"]
    return {
        "directory": str(run.directory.path),
        "train_rows": _rows(run.report, "train"),
        "steps": len(curves["train"]),
        "best": _best(run.report) or None,
        "stopped_early": curves["stopped_early"],
        "overfitting": curves["overfitting"],
        "train_seconds": run.report["cost"]["train_seconds"],
    }


def _curve(recipe: Recipe, runs: Sequence[_Done]) -> dict[str, Any]:
    num_rows = [_rows(run.report, "train") for run in runs]

    def entry(metric: Metric, entries: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            "higher_is_better": metric.higher_is_better,
            "rows": entries[0]["rows"],
            "values": [one["tuned"] for one in entries],
            "base": entries[-1]["base"],
            **data_curve(metric, num_rows, found),
        }

    return {
        "runs": [{"run": run.directory.id, "fraction": run.value, **_training(run)} for run in runs],
        **_each_place(recipe, runs, entry),
    }
