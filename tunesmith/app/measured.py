"""What was measured of a split, a domain, or a task of a mixture: metrics, base against tuned, and what a model without skill would score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from tunesmith.app.fitting import fitting_metrics, is_per_token, make_metrics
from tunesmith.app.judged import Judgement
from tunesmith.app.judging import EncodedSplit
from tunesmith.app.measurable import Measurable
from tunesmith.app.plan import step_plan
from tunesmith.app.task import Task
from tunesmith.core import registry
from tunesmith.core.types import Choice, Example, HeadObjective, Labelled, Output
from tunesmith.engine.packing import rows_seen
from tunesmith.evaluation.score import compare, evaluate_metric, is_measured, unit_stats, usual

__all__ = ["measured", "measured_tasks", "pick", "row_scores"]

T = TypeVar("T")


def pick(items: Sequence[T], rows: Sequence[int]) -> list[T]:
    """The items at `rows`."""
    return [items[row] for row in rows]


def measured(task: Measurable, split: EncodedSplit, base: Sequence[Output] | None, tuned: Sequence[Output]) -> dict[str, Any]:
    """`metrics` and `baselines` of a test split, a domain, or the test rows of a task."""
    metrics, baselines = dict[str, Any](), dict[str, dict[str, Any]]()
    names = _metrics_of(task, split.examples) if tuned else ()
    for name, metric in make_metrics(task.recipe, names, task.encoder.labels).items():
        if metric.needs == "text" and all(output.text is None for output in tuned):
            continue
        metrics[name] = compare(metric, base or None, tuned, split.examples, split.references, seed=task.recipe.seed)
        has_head = isinstance(task.objective, HeadObjective)
        if has_head and base:
            baselines.setdefault(task.base_kind, {})[name] = metrics[name]["base"]
        constant = _constant(task, split.examples) if has_head or metric.needs == "label" else []
        if constant and (metric.needs != "probabilities" or constant[0].probabilities):
            found = evaluate_metric(metric, split.examples, constant, split.references, seed=task.recipe.seed).interval
            if math.isfinite(found.value):  # a correlation with a constant is no number
                baselines.setdefault(_named(task, constant[0]), {})[name] = asdict(found)
    return {"metrics": metrics, "baselines": baselines}


def _named(task: Measurable, constant: Output) -> str:
    """What the answers without skill are called."""
    return str(getattr(task.objective, "baseline", "constant" if constant.label is None else "majority"))


def row_scores(task: Measurable, split: EncodedSplit, outputs: Sequence[Output]) -> list[dict[str, tuple[float, ...]]]:
    """Of each row what it contributes to the metrics of `measured`, those of its own task in a mixture too: `Metric.value` makes these one number.

    What a question contributes to a `QuestionMetric` stands at its first row, and nothing at the others.
    """
    if not outputs:
        return []
    tasks = {example.origin.task for example in split.examples} if task.data.sets else set[str]()
    of_task = {name: _metrics_of(task, [example for example in split.examples if example.origin.task == name]) for name in tasks}
    of_all = _metrics_of(task, split.examples)
    names = dict.fromkeys(name for names in (of_all, *of_task.values()) for name in names)
    found: list[dict[str, tuple[float, ...]]] = [{} for _ in outputs]
    for name, metric in make_metrics(task.recipe, names, task.encoder.labels).items():
        rows = [
            row
            for row, (example, output, reference) in enumerate(zip(split.examples, outputs, split.references, strict=True))
            if (name in of_all or name in of_task.get(example.origin.task, ())) and is_measured(metric, example, output, reference)
        ]
        if not rows:
            continue
        stats_nk, places = unit_stats(metric, pick(split.examples, rows), pick(outputs, rows), pick(split.references, rows))
        for place, stats in zip(places, stats_nk.tolist(), strict=True):
            found[rows[place]][name] = tuple(stats)
    return found


def _metrics_of(task: Measurable, examples: Sequence[Example]) -> list[str]:
    return [name for name in _fitting(task, examples) if not (task.recipe.model.add_tokens and is_per_token(name))]


def _fitting(task: Measurable, examples: Sequence[Example]) -> list[str]:
    if "rewarded" in task.objective.fills or (not task.data.sets and not any(isinstance(example, Choice) for example in examples)):
        return task.metrics
    fitting = fitting_metrics(task.objective, examples, is_mixed=bool(task.data.sets))
    wanted = [spec.name for spec in task.recipe.evaluate.metrics or ()]
    of_rewards = [name for name in task.metrics if registry.load("metric", name).needs == "rewarded"]  # of every answer, whatever the set
    return list(dict.fromkeys([*([name for name in wanted if name in fitting] if wanted else usual(fitting)), *of_rewards]))


def _constant(task: Measurable, examples: Sequence[Example]) -> list[Output]:
    """The best constant answer: of a mixture, that of the examples' own tasks; empty where answers are open."""
    tasks = {example.origin.task for example in examples}
    train = task.splits["train"].examples
    if task.data.sets:
        train = [example for example in train if example.origin.task in tasks]
    if isinstance(task.objective, HeadObjective):
        return task.objective.constant(train, examples)
    if not task.data.sets or len(tasks) > 1 or not all(isinstance(example, Labelled) for example in examples):
        return []
    classes: HeadObjective = registry.create("objective", "classify")
    return classes.constant(train, examples)


def measured_tasks(task: Task, base: Judgement, tuned: Judgement, num_steps: int) -> dict[str, Any]:
    """report.json's `tasks`: of each set of a mixture what training saw of it and what was measured on its own test rows; empty without a mixture.

    Args:
        num_steps: steps that training took.
    """
    if not task.data.sets:
        return {}
    test, before, after = task.splits["test"], base.outputs.get("test"), tuned.outputs["test"]
    steps, found = step_plan(task), dict[str, Any]()
    seen = rows_seen(steps, num_steps)
    for number, (name, one) in enumerate(task.data.sets.items()):
        rows = [i for i, example in enumerate(test.examples) if example.origin.task == name]
        split = EncodedSplit(pick(test.examples, rows), (), (), pick(test.references, rows))
        part = steps.parts[number]
        found[name] = {
            "source": one.facts.name,
            "kind": _kind(task, one.kind),
            "rows": len(rows),
            "train_rows": part.num_rows,
            "rows_per_epoch": part.per_epoch,
            "share": part.per_epoch / steps.rows_per_epoch,
            "rows_seen": seen[number],
            **measured(task, split, pick(before, rows) if before else None, pick(after, rows) if after else []),
        }
    return found


_KINDS: Mapping[type[Any], str] = {Labelled: "classification", Choice: "multiple_choice"}


def _kind(task: Task, kind: type[Any]) -> str:
    return _KINDS.get(kind, task.kind)
