"""group.json of a comparison: what every arm measured and cost, which may be the best, and which of these to take."""

import math
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

from tunesmith.app.arms import BASE, MAJORITY
from tunesmith.app.compare_search import at_the_edge, searched_facts
from tunesmith.app.fitting import make_metrics
from tunesmith.app.group_document import group_facts
from tunesmith.app.predictions import read_predictions, stats_of
from tunesmith.app.search import Search
from tunesmith.comparison.preference import PREFERENCES, Cost, chosen, front
from tunesmith.comparison.verdict import Contest, contest
from tunesmith.core.errors import RunError
from tunesmith.core.files import finite, number
from tunesmith.core.run import GroupDirectory, RunDirectory
from tunesmith.core.statistics import FEWEST_RESAMPLED
from tunesmith.core.types import Labelled, Metric, Origin, Output
from tunesmith.evaluation.differences import paired_difference
from tunesmith.evaluation.score import evaluate_metric
from tunesmith.recipe import Recipe, dump, load
from tunesmith.report import comparison_reason
from tunesmith.report.context import adapted_by

__all__ = ["build_comparison", "is_renewed"]

_COSTS = ("train_seconds", "seconds_per_answer", "memory_bytes", "saved_bytes", "usd_per_answer")


@dataclass(frozen=True, slots=True)
class _Arm:
    """What is known of an arm."""

    name: str
    metrics: Mapping[str, Mapping[str, Any]]
    """METRIC -> {value, low, high}."""
    stats: Mapping[str, Sequence[Any]]
    """Of the first metric, as `paired_difference` takes them; empty where the arm has none."""
    cost: Cost
    about: Mapping[str, Any] = field(default_factory=dict)


def build_comparison(
    directory: GroupDirectory, recipe: Recipe, left_out: Mapping[str, str], searches: Mapping[str, Search], seconds: float
) -> dict[str, Any]:
    """The document, as docs/report-format.md describes it.

    Args:
        left_out: arms that were not run, and why.
        searches: what was found for arms whose settings were searched.
        seconds: how long all of it took.
    Raises: RunError, where a run was judged on other test rows.
    """
    runs = {name: run for name, run in directory.by_value.items() if name not in left_out}
    reports = {name: run.read_json(run.report_json) for name, run in runs.items()}
    lines = {name: read_predictions(run) for name, run in runs.items()}
    first = next(iter(reports.values()))
    metric_name = next(iter(first["metrics"]))
    metric = make_metrics(recipe, [metric_name], (first["confusion"] or {}).get("labels", ()))[metric_name]
    arms = dict[str, _Arm]()
    for name in recipe.arms or ():
        if name == MAJORITY:
            arms[name] = _majority(metric_name, metric, first, next(iter(lines.values())))
        elif name == BASE:
            plain = next((one for one in runs if _is_plain(recipe, runs[one])), None)
            if plain is None:
                left_out = {**left_out, BASE: "no arm was run that is held against the model as it is."}
                continue
            arms[name] = _base(metric_name, metric, reports[plain], lines[plain], reports.values())
        elif name in runs:
            arms[name] = _of_run(name, metric_name, metric, runs[name], reports[name], lines[name])
    _check_rows(directory, arms)
    changes = {name: [*((recipe.arms or {}).get(name) or []), *(searches[name].changes if name in searches else ())] for name in arms}
    document = _document(
        directory, recipe, left_out, first, metric_name, metric, arms, changes, searched_facts(directory, recipe, searches)
    )
    document["cost"] = {
        "train_seconds": sum(arm.cost.train_seconds for arm in arms.values()),
        "search_seconds": sum(one["train_seconds"] for one in document["search"].values()),
        "total_seconds": seconds,
        "usd": sum(arm.about.get("usd") or 0.0 for arm in arms.values()),
    }
    document["verdict"]["reason"] = comparison_reason(document)
    told: dict[str, Any] = finite(document)
    return told


def _is_plain(recipe: Recipe, run: RunDirectory) -> bool:
    """Whether the run was held against the recipe's own model, asked as the recipe asks."""
    own = load(run.recipe)
    return own.model == recipe.model and own.data == recipe.data


def _document(
    directory: GroupDirectory, recipe: Recipe, left_out: Mapping[str, str], first: Mapping[str, Any], metric_name: str, metric: Metric,
    arms: Mapping[str, _Arm], changes: Mapping[str, Sequence[str]], searched: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    num_rows = len(next(iter(arms.values())).stats["row"])
    differences = {(a, b): _difference(metric, arms[a], arms[b]) for a, b in combinations(arms, 2)}
    sign = 1.0 if metric.higher_is_better else -1.0
    found = contest(list(arms), {pair: (sign * one["value"], one["p"]) for pair, one in differences.items()})
    costs = {name: arm.cost for name, arm in arms.items()}
    choice = chosen(found.best, costs, recipe.prefer)
    return {
        "schema": "tunesmith/compare/1",
        **group_facts(directory, recipe),
        "task": {key: first["task"][key] for key in ("objective", "kind", "base")},
        "model": recipe.model.source,
        "data": {"source": recipe.data.named, **{f"{name}_rows": first["data"]["splits"][name]["rows"] for name in ("train", "validation", "test")}},
        "metric": metric_name,
        "higher_is_better": metric.higher_is_better,
        "decided_by_rows": num_rows,
        "arms": {name: _said(arm, changes[name], found, differences, choice) for name, arm in arms.items()},
        "left_out": dict(left_out),
        **searched,
        "is_searched": recipe.search != "none",
        "pretraining": differences.get(("scratch", "full")) or _turned(differences.get(("full", "scratch"))),
        "front": {by: front(list(arms), costs, by) for by in _COSTS},
        "verdict": {
            "best": list(found.best),
            "choice": choice,
            "prefer": recipe.prefer,
            "by": list(PREFERENCES[recipe.prefer]),
            "command": _command(directory, changes[choice], choice),
        },
        "budget_seconds": recipe.budget,
        "recipe": dump(recipe),
        "command": f"tunesmith compare {shlex.quote(str(directory.recipe))} output_dir={shlex.quote(str(directory.path) + '-again')}",
        "warnings": list(dict.fromkeys(f"{name}: {warning}" for name, arm in arms.items() for warning in arm.about.get("warnings", ()))) + at_the_edge(searched["search"]) + _too_few(metric_name, metric, num_rows),
    }  # fmt: skip


def _difference(metric: Metric, arm: _Arm, other: _Arm) -> dict[str, Any]:
    """`arm` minus `other`; of too few rows to resample without an interval and a p-value, so that it rules nothing out."""
    found = paired_difference(metric, other.stats, arm.stats)
    unknown = {"low": math.nan, "high": math.nan, "p": math.nan, "detectable": math.nan}
    return found | (unknown if _is_too_few(metric, len(arm.stats["row"])) else {})


def _is_too_few(metric: Metric, num_rows: int) -> bool:
    return not metric.is_proportion and num_rows < FEWEST_RESAMPLED


def _too_few(name: str, metric: Metric, num_rows: int) -> list[str]:
    if not _is_too_few(metric, num_rows):
        return []
    return [
        f"{name} stands on {num_rows} rows; of fewer than {FEWEST_RESAMPLED} no interval can be trusted, so that no arm is ruled out. Bring more test rows, or raise evaluate.generate_limit."
    ]


def _said(
    arm: _Arm, changes: Sequence[str], found: Contest, differences: Mapping[tuple[str, str], Mapping[str, Any]], choice: str
) -> dict[str, Any]:
    beaten = found.beaten.get(arm.name)
    turned = differences.get((arm.name, choice)) or _turned(differences.get((choice, arm.name)))
    return {
        **arm.about,
        "changes": list(changes),
        "metrics": arm.metrics,
        "against_choice": turned,
        "beaten": asdict(beaten) if beaten else None,
        **{name: getattr(arm.cost, name) for name in _COSTS},
    }


def _turned(difference: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The same difference, the other way round."""
    if difference is None:
        return None
    ends = {"value": -difference["value"], "low": -difference["high"], "high": -difference["low"]}
    return {**difference, **ends}


def _command(directory: GroupDirectory, changes: Sequence[str], choice: str) -> str | None:
    """What makes the chosen arm again; None where there is nothing to make."""
    if choice in (BASE, MAJORITY):
        return None
    place = f"output_dir={directory.path}-{choice}"
    return " ".join(["tunesmith tune", *map(shlex.quote, [str(directory.recipe), *changes, "arms=null", "budget=null", place])])


def _of_run(
    name: str, metric_name: str, metric: Metric, run: RunDirectory, report: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]
) -> _Arm:
    cost, context = report["cost"], report.get("context")
    values = {one: entry["tuned"] for one, entry in report["metrics"].items() if entry["tuned"] is not None}
    answers = _num_answers(report, lines, "tuned")
    priced = Cost(
        _quality(values[metric_name]["value"], metric),
        cost["train_seconds"],
        cost["tuned_evaluate_seconds"] / answers if answers else math.nan,
        number(cost["peak_memory_bytes"]),
        cost["saved_bytes"],
        number(cost.get("usd_per_answer", 0.0)),
        is_renewed_without_training=is_renewed(context),
        is_asked_here=_is_asked_here(report),
    )
    about = {
        "run": run.id,
        "directory": str(run.path),
        "method": adapted_by(report),
        "trainable_parameters": cost["trainable_parameters"],
        "prompt_tokens": context["tokens"]["mean"] if context and context["tokens"] else None,
        "index_seconds": context["index_seconds"] if context else None,
        "domains": _on_domains(report, metric_name, "tuned"),
        "fell": report["forgetting"]["fell"],
        "total_seconds": cost["total_seconds"],
        "usd": cost.get("usd", 0.0),
        "predicted": report["predicted"],
        "warnings": report["warnings"],
    }
    return _Arm(name, values, stats_of(lines, metric_name), priced, about)


def _num_answers(report: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], side: str) -> int:
    """Rows that were asked: of a model behind an endpoint those with an answer of its own, else all, as each has a likelihood."""
    found = report.get("endpoint")
    return int(found["rows"][side]) if found else len(lines)


def _is_asked_here(report: Mapping[str, Any]) -> bool:
    """Whether what is asked stays on this machine. `report`: of a run."""
    found = report.get("endpoint")
    return found is None or bool(found["is_here"])


def is_renewed(context: Mapping[str, Any] | None) -> bool:
    """Whether an arm answers from examples or documents, which may change with nothing trained anew. `context`: of its report."""
    return context is not None and bool(context["chosen"]["num_passages"] or context["chosen"]["num_shots"])


def _base(
    metric_name: str, metric: Metric, report: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], reports: Iterable[Mapping[str, Any]]
) -> _Arm:
    """The model as it is, which a run was held against. It needs no more memory than any of the runs, all of which asked it, too."""
    values = {name: entry["base"] for name, entry in report["metrics"].items() if entry["base"] is not None}
    found = stats_of(lines, metric_name)
    if metric_name not in values or "base" not in found:
        raise RunError(
            "arms: base: the model as it is has no answer to some of the test rows, so that it cannot be compared. Leave base out of the arms."
        )
    seconds, answers = number(report["cost"]["base_evaluate_seconds"]), _num_answers(report, lines, "base")
    is_remote = report.get("endpoint") is not None
    memory = min(
        (one["cost"]["peak_memory_bytes"] for one in reports if one["cost"]["peak_memory_bytes"] and not is_remote), default=math.nan
    )
    cost = Cost(
        _quality(values[metric_name]["value"], metric),
        0.0,
        seconds / answers if answers else math.nan,
        memory,
        usd_per_answer=number(report["cost"].get("base_usd_per_answer", 0.0)),
        is_asked_here=_is_asked_here(report),
    )
    return _Arm(
        BASE,
        values,
        {"row": found["row"], "tuned": found["base"]},
        cost,
        {"method": None, "domains": _on_domains(report, metric_name, "base")},
    )


def _on_domains(report: Mapping[str, Any], metric_name: str, side: str) -> dict[str, Any]:
    """DOMAIN -> {value, low, high} of the first metric; without those of which that side has none."""
    found = {name: domain["metrics"].get(metric_name, {}).get(side) for name, domain in report["domains"].items()}
    return {name: value for name, value in found.items() if value is not None}


def _majority(metric_name: str, metric: Metric, first: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> _Arm:
    """The most frequent label of the training rows, whatever is asked."""
    labels = Counter(first["data"]["splits"]["train"]["labels"])
    most = Output(label=max(labels, key=lambda label: labels[label]))
    test = [line for line in lines if line["split"] == "test"]
    examples = [Labelled("", line["reference"], Origin("test", number, group=line.get("group", ""))) for number, line in enumerate(test)]
    references = [line["reference"] for line in test]
    value = evaluate_metric(metric, examples, [most] * len(test), references, seed=0).interval
    stats = [metric.stats(example, most, reference) for example, reference in zip(examples, references, strict=True)]
    rows = {"row": stats_of(lines, metric_name)["row"], "tuned": stats}
    return _Arm(
        MAJORITY,
        {metric_name: asdict(value)},
        rows,
        Cost(_quality(value.value, metric), 0.0, 0.0, 0.0),
        {"method": None, "label": most.label},
    )


def _quality(value: float | None, metric: Metric) -> float:
    if value is None:
        return math.nan
    return value if metric.higher_is_better else -value


def _check_rows(directory: GroupDirectory, arms: Mapping[str, _Arm]) -> None:
    """Raises: RunError, where an arm was judged on other test rows than the first."""
    first, *others = arms.values()
    strange = next((arm for arm in others if sorted(arm.stats["row"]) != sorted(first.stats["row"])), None)
    if strange is not None:
        raise RunError(
            f"{directory.path}: {strange.name} was judged on other test rows than {first.name}: the data changed meanwhile, or the arm changes it. Start a new comparison of arms that share their data."
        )
