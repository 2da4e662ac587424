"""`tunesmith runs compare`: finished runs side by side, each against the first, on the same test rows."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.app.fitting import recorded_metric
from tunesmith.app.places import Place, places
from tunesmith.app.predictions import read_predictions, row_name
from tunesmith.app.same_tokens import same_tokens
from tunesmith.core.errors import RunError, UsageError
from tunesmith.core.files import finite
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Metric
from tunesmith.evaluation.correction import correct, families
from tunesmith.evaluation.differences import paired_difference, verdict
from tunesmith.recipe import Recipe, load
from tunesmith.recipe.text import dotted, parse_yaml

__all__ = ["compare_runs"]

_COSTS = ("train_seconds", "total_seconds", "tokens", "peak_memory_bytes", "trainable_parameters", "saved_bytes")
_SAID = ("label", "labels", "tags", "number", "scores", "liked", "grades", "span", "text")
_NOT_COMPARED = ("name", "description", "output_dir")
_ORDER = {"worse": 0, "better": 1, "unclear": 2}


@dataclass(frozen=True, slots=True)
class _Read:
    """A finished run, read."""

    directory: RunDirectory
    recipe: Recipe
    report: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]

    @property
    def name(self) -> str:
        return str(self.directory.path)


def compare_runs(directories: Sequence[RunDirectory], *, num_rows: int = 0) -> dict[str, Any]:
    """What the runs measured side by side, with the paired differences of each to the first.

    Args:
        num_rows: the most rows to list whose answers differ, those that got worse first.
    Returns: the document, as docs/report-format.md describes it.
    Raises: UsageError, for fewer than two runs or one of them twice; RunError, for a run that is not finished, or runs that have no metric in common.
    """
    paths = [directory.path.resolve() for directory in directories]
    if len(paths) < 2:
        raise UsageError("runs compare: needs two runs or more: tunesmith runs compare A B")
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise UsageError(f"runs compare: {twice} is named twice. Name other runs.")
    runs = [_Read(one, load(one.recipe), one.read_json(one.report_json), read_predictions(one)) for one in directories]
    remarks = list[str]()
    comparisons = list(_comparisons(runs, remarks))
    if not comparisons:
        kinds = ", ".join(f"{run.name}: {run.report['task']['kind'].replace('_', ' ')}" for run in runs)
        raise RunError(f"runs compare: these have no metric in common ({kinds}). Compare runs of one task.")
    num_tests = _correct(comparisons)
    differing = _differing(runs)
    document: dict[str, Any] = {
        "schema": "tunesmith/runs-compare/1",
        "runs": [_about(run) for run in runs],
        "num_tests": num_tests,
        "comparisons": sorted(comparisons, key=_rank),
        "recipe": _recipe_changes(runs),
        "cost": {key: [run.report["cost"].get(key) for run in runs] for key in _COSTS},
        **differing,
        "rows": differing["rows"][:num_rows],
        "remarks": remarks,
    }
    return {key: finite(value) for key, value in document.items()}


def _about(run: _Read) -> dict[str, Any]:
    splits = run.report["data"]["splits"]
    return {
        "run": run.directory.id,
        "directory": str(run.directory.path),
        "created": run.report["created"],
        "task": run.report["task"],
        "model": run.report["model"]["name"],
        "rows": {name: splits[name]["rows"] for name in ("train", "validation", "test")},
    }


def _comparisons(runs: Sequence[_Read], remarks: list[str]) -> Iterator[dict[str, Any]]:
    """An entry for each metric that all runs have on a data set; `remarks` are told what cannot be paired, and why."""
    for place in places(runs[0].report):
        measured = [place.metrics(run.report) for run in runs]
        without = [run.name for run, metrics in zip(runs, measured, strict=True) if not metrics]
        if without:
            remarks.append(f"{place.name}: not measured in {', '.join(without)}, and left out.")
            continue
        paired = [_has_same_rows(place, runs[0], run, remarks) for run in runs[1:]]
        for name in measured[0]:
            if not all(name in metrics for metrics in measured):
                continue
            metric = recorded_metric(runs[0].recipe, name)
            stats = [place.stats(run.lines, name) for run in runs]
            differences = list[dict[str, Any] | None]()
            for run, other, is_paired in zip(runs[1:], stats[1:], paired, strict=True):
                same = sorted(other["row"]) == sorted(stats[0]["row"])
                if is_paired and not same:
                    remarks.append(f"{place.name}: {run.name} was measured by {name} on other rows than {runs[0].name}: not paired.")
                alike = same_tokens(name, (runs[0].report, run.report), (stats[0], other), place.split)
                if is_paired and same and not alike:
                    instead = " bits_per_byte can be." if name == "perplexity" else ""
                    remarks.append(
                        f"{place.name}: {run.name} counts other tokens than {runs[0].name}, and {name} is per token: not compared.{instead}"
                    )
                differences.append(paired_difference(metric, stats[0], other) if is_paired and same and alike else None)
            yield {
                "kind": place.kind,
                "data": place.name,
                "metric": name,
                "higher_is_better": metric.higher_is_better,
                "rows": [metrics[name]["rows"] for metrics in measured],
                "values": [metrics[name]["tuned"] for metrics in measured],
                "differences": differences,
            }


def _has_same_rows(place: Place, first: _Read, other: _Read, remarks: list[str]) -> bool:
    """Whether two runs were judged on the same rows, by their names and references."""
    own, others = (sorted(_rows(place, run)) for run in (first, other))
    if own == others:
        return True
    shared = len(set(own) & set(others))
    remarks.append(
        f"{place.name}: {other.name} was judged on other rows than {first.name} ({shared:,} of {len(own):,} and {len(others):,} are the same): "
        "their differences are not paired, and not shown."
    )
    return False


def _rows(place: Place, run: _Read) -> list[tuple[str, str]]:
    return [
        (row_name(line), line["reference"])
        for line in run.lines
        if line["split"] == place.split and (place.kind != "task" or line["task"] == place.name)
    ]


def _correct(comparisons: Sequence[Mapping[str, Any]]) -> int:
    """Give every difference its `p_holm`, corrected over the runs and the entries of its family, and its `verdict` by that. Returns: the number of tests."""
    by_place: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {("test", "test"): {}}
    for entry in comparisons:
        by_place.setdefault((entry["kind"], entry["data"]), {})[entry["metric"]] = entry
    own, *others = by_place.values()
    for family in families(own, others):
        correct(one for entry in family for one in entry["differences"])
    tested = [(entry, one) for entry in comparisons for one in entry["differences"] if one is not None]
    for entry, one in tested:
        one["verdict"] = verdict(one, entry["higher_is_better"], one["p_holm"])
    return sum(not math.isnan(one["p_holm"]) for _, one in tested)


def _rank(entry: Mapping[str, Any]) -> int:
    """Regressions first."""
    return min((_ORDER[one["verdict"]] for one in entry["differences"] if one is not None), default=len(_ORDER))


def _recipe_changes(runs: Sequence[_Read]) -> dict[str, list[Any]]:
    """The keys that the recipes do not share a value of, and each run's value; None where a recipe has no such key."""
    flat = [dict(dotted(parse_yaml(run.report["recipe"], run.name))) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one)
    found = {key: [one.get(key) for one in flat] for key in keys if key.split(".")[0] not in _NOT_COMPARED}
    return {key: values for key, values in found.items() if any(value != values[0] for value in values)}


def _differing(runs: Sequence[_Read]) -> dict[str, Any]:
    """`num_differing`, the test rows to which not all runs said the same; `ranked_by`, the first metric that has a value for a single row; and
    `rows`, those first that became worse by it. Nothing where the runs have other rows.
    """
    test = [_test_lines(run) for run in runs]
    names = test[0] if all(one.keys() == test[0].keys() for one in test) else {}
    metrics = {name: recorded_metric(runs[0].recipe, name) for name in runs[0].report["metrics"]}
    by = next((name for name, metric in metrics.items() if any(_score(line, name, metric) is not None for line in test[0].values())), None)
    sign = 1.0 if by is None or metrics[by].higher_is_better else -1.0
    found = list[tuple[float, dict[str, Any]]]()
    for name in names:
        lines = [one[name] for one in test]
        said = [_said(line["tuned"]) for line in lines]
        if all(one == said[0] for one in said):
            continue
        scores = [None if by is None else _score(line, by, metrics[by]) for line in lines]
        changes = [sign * (score - scores[0]) for score in scores[1:] if score is not None and scores[0] is not None]
        row = {"row": row_name(lines[0]), "text": lines[0].get("text"), "reference": lines[0]["reference"], "said": said, "scores": scores}
        found.append((min(changes, default=0.0), row))
    return {"num_differing": len(found), "ranked_by": by, "rows": [row for _, row in sorted(found, key=lambda one: one[0])]}


def _test_lines(run: _Read) -> dict[tuple[str, int], Mapping[str, Any]]:
    """By the row's name and by which of that name it is: a record may make several rows."""
    found, seen = dict[tuple[str, int], Mapping[str, Any]](), Counter[str]()
    for line in run.lines:
        if line["split"] == "test":
            name = row_name(line)
            found[name, seen[name]] = line
            seen[name] += 1
    return found


def _said(output: Mapping[str, Any]) -> Any:
    return next((output[key] for key in _SAID if key in output), None)


def _score(line: Mapping[str, Any], name: str, metric: Metric) -> float | None:
    """The metric of this row alone; None where it has none."""
    numbers = line["scores"]["tuned"].get(name)
    if numbers is None or None in numbers:
        return None
    value = metric.value(np.array([numbers], dtype=np.float64))
    return value if math.isfinite(value) else None
