"""What was measured of a split, a domain, or a task of a mixture: metrics, base against tuned, and what a model without skill would score."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from tunesmith.app.fitting import fitting_metrics
from tunesmith.app.judged import Judgement
from tunesmith.app.judging import EncodedSplit
from tunesmith.app.plan import step_plan
from tunesmith.app.task import Task, earlier_heads
from tunesmith.core import registry
from tunesmith.core.types import Choice, Example, Labelled, Metric, Output
from tunesmith.engine.packing import rows_seen
from tunesmith.evaluation.score import compare, evaluate_metric, majority

__all__ = ["base_kind", "measured", "measured_tasks", "pick"]

T = TypeVar("T")


def base_kind(task: Task) -> str:
    """How the base model was asked: `zero_shot` for labels that it was never taught, `as_it_is` for what it does already."""
    return "zero_shot" if task.kind == "classification" and not earlier_heads(task) else "as_it_is"


def pick(items: Sequence[T], rows: Sequence[int]) -> list[T]:
    """The items at `rows`."""
    return [items[row] for row in rows]


def measured(task: Task, split: EncodedSplit, base: Sequence[Output] | None, tuned: Sequence[Output]) -> dict[str, Any]:
    """`metrics` and `baselines` of a test split, a domain, or the test rows of a task."""
    metrics, baselines = dict[str, Any](), dict[str, dict[str, Any]]()
    known = _training_labels(task, split.examples)
    for name in _metrics_of(task, split.examples) if tuned else ():
        metric: Metric = registry.create("metric", name)
        shown = [i for i, output in enumerate(tuned) if metric.needs != "text" or output.text is not None]
        if not shown:
            continue
        examples, references = pick(split.examples, shown), pick(split.references, shown)
        before = pick(base, shown) if base else None
        metrics[name] = compare(metric, before, pick(tuned, shown), examples, references, seed=task.recipe.seed)
        if task.kind == "classification" and before is not None:
            baselines.setdefault(base_kind(task), {})[name] = metrics[name]["base"]
        if known and metric.needs == "label":
            found = evaluate_metric(metric, examples, majority(known, len(shown)), references, seed=task.recipe.seed)
            baselines.setdefault("majority", {})[name] = asdict(found.interval)
    return {"metrics": metrics, "baselines": baselines}


def _metrics_of(task: Task, examples: Sequence[Example]) -> list[str]:
    if not task.data.sets and not any(isinstance(example, Choice) for example in examples):
        return task.metrics
    fitting = fitting_metrics(task.objective, examples, is_mixed=bool(task.data.sets))
    wanted = task.recipe.evaluate.metrics
    return [name for name in wanted if name in fitting] if wanted else fitting


def _training_labels(task: Task, examples: Sequence[Example]) -> list[str]:
    """The training labels to take the most frequent of: of a mixture, those of the examples' own tasks; none where answers are no labels."""
    train, tasks = task.splits["train"], {example.origin.task for example in examples}
    is_one_set = bool(task.data.sets) and len(tasks) == 1 and all(isinstance(example, Labelled) for example in examples)
    if task.kind != "classification" and not is_one_set:
        return []
    pairs = zip(train.references, train.examples, strict=True)
    return [reference for reference, example in pairs if not task.data.sets or example.origin.task in tasks]


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
