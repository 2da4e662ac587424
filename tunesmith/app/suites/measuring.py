"""From what rows contributed to values with intervals: of each metric of a task, and of the average over a suite's tasks.

n rows of a task
"""

import math
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from lm_eval.api.metrics import mean

from tunesmith.app.suites.asking import Answered
from tunesmith.app.suites.tasks import LoadedSuite
from tunesmith.core.statistics import Interval, PairedIntervals, bootstrap, compare_proportions, paired_bootstrap, wilson
from tunesmith.core.strata import Strata, stratified_bootstrap
from tunesmith.evaluation.correction import correct

__all__ = ["add_corrected", "averages", "compared", "differences", "metrics"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Score = Callable[[Array], float]

_SEED = 0
_SLOW = {"bleu", "chrf", "ter"}
"""Metrics over whole corpora, of which as many resamples would take minutes."""
_RESAMPLES, _FEW_RESAMPLES = 2000, 200


def metrics(answered: Answered) -> dict[str, dict[str, Any]]:
    """The value of each metric: Wilson's interval where rows are right or wrong and stand alone, else the bootstrap's."""
    found = {}
    for name, items in answered.items.items():
        aggregate = answered.aggregations[name]
        if answered.groups is None and _is_proportion(items, aggregate):
            interval = wilson(int(sum(map(float, items))), len(items))
        else:
            resamples = _resamples(aggregate)
            interval = bootstrap(_numbered(len(items)), _value(items, aggregate), seed=_SEED, resamples=resamples, groups=answered.groups)
        found[name] = {**_spelled(interval), "rows": len(items)}
    return found


def differences(base: Answered, tuned: Answered) -> dict[str, dict[str, Any]]:
    """Tuned minus base over the same rows: McNemar's test where rows are right or wrong and stand alone, else the paired bootstrap."""
    found = {}
    for name, items in tuned.items.items():
        gap = compared(base.items[name], items, tuned.aggregations[name], tuned.groups).difference
        better = tuned.higher_is_better[name]
        found[name] = {
            **_spelled(Interval(gap.value, gap.low, gap.high)),
            "p": _finite(gap.p),
            "test": gap.test,
            "detectable": _finite(gap.detectable),
            "higher_is_better": better,
        }
    return found


def compared(
    base: Sequence[Any], tuned: Sequence[Any], aggregate: Callable[[Sequence[Any]], float], groups: Sequence[Hashable] | None
) -> PairedIntervals:
    """One metric of two models on the same rows, from what each row contributes; `groups`: a key a row, those that share theirs being drawn together."""
    if groups is None and _is_proportion([*base, *tuned], aggregate):
        return compare_proportions(np.array(list(map(float, base))), np.array(list(map(float, tuned))))
    first, second = _numbered(len(base)), _numbered(len(tuned)) + len(base)
    return paired_bootstrap(first, second, _value([*base, *tuned], aggregate), seed=_SEED, resamples=_resamples(aggregate), groups=groups)


def averages(loaded: LoadedSuite, answered: Mapping[str, Answered], base: Mapping[str, Answered] | None = None) -> dict[str, Any]:
    """The mean of the tasks' scores, weighted as the suite does, over all tasks and over each category; with `base`, of the differences.

    {metric, value, low, high, rows, tasks, categories: {NAME: {value, low, high, rows, tasks}}}, with `p` and `detectable` of a difference.
    Tasks that lack a metric of the average are left out of it. Empty, where the suite has no average, or one task.
    """
    suite = loaded.chosen.suite
    names = {name: found for name, one in answered.items() if (found := _found(suite.headline(name), one))} if suite.averages else {}
    if len(names) < 2:
        return {}
    by_category = dict[str, list[str]]()
    for name in names:
        by_category.setdefault(loaded.category(name), []).append(name)

    def average(tasks: Sequence[str]) -> dict[str, Any]:
        scores = [_score(names[name], answered[name], base[name] if base is not None else None) for name in tasks]
        sizes, weights = [len(answered[name].rows) for name in tasks], [suite.weight(name, loaded.sizes[name]) for name in tasks]
        found = stratified_bootstrap(Strata(sizes, weights, scores, [answered[name].groups for name in tasks]), seed=_SEED)
        tested = {} if base is None else {"p": _finite(found.p), "detectable": _finite(found.detectable)}
        return {**_spelled(found.interval), **tested, "rows": sum(sizes), "tasks": len(tasks)}

    listed = sorted({metric for found in names.values() for metric in found})
    categories = {category: average(tasks) for category, tasks in by_category.items() if category}
    return {"metric": " and ".join(listed), **average(list(names)), "categories": categories}


def add_corrected(found: Mapping[str, Any]) -> None:
    """Give every difference a `p_holm`, its p-value corrected for those of its family: the suites' averages; a suite's categories; its tasks' metrics.

    Args:
        found: `differences` of the document, {suites, averages}.
    """
    correct(found["averages"].values())
    for average in found["averages"].values():
        correct(average["categories"].values())
    for tasks in found["suites"].values():
        correct(difference for metrics in tasks.values() for difference in metrics.values())


def _found(headline: Sequence[str], answered: Answered) -> tuple[str, ...]:
    """The headline's metrics as they are called in a task, each with the first of its filters where it names none; empty, where one is missing."""
    found = [next((key for key in sorted(answered.items) if key == name or key.startswith(f"{name},")), "") for name in headline]
    return tuple(found) if all(found) else ()


def _score(names: Sequence[str], tuned: Answered, base: Answered | None) -> Score:
    """The mean of a task's headline metrics over rows drawn of it, or of their differences to the base's."""
    values = [_value(tuned.items[name], tuned.aggregations[name]) for name in names]
    before = [_value(base.items[name], base.aggregations[name]) for name in names] if base is not None else []

    def score(rows_n: Array) -> float:
        numbered = rows_n[:, None]
        return float(np.mean([value(numbered) for value in values]) - (np.mean([value(numbered) for value in before]) if before else 0.0))

    return score


def _numbered(count: int) -> Array:
    """The places of rows, (n, 1): what the bootstrap draws."""
    return np.arange(count, dtype=np.float64)[:, None]


def _value(items: Sequence[Any], aggregate: Callable[[Sequence[Any]], float]) -> Callable[[Array], float]:
    """The metric of the rows at some places, (n, 1)."""
    if aggregate is mean and all(isinstance(item, int | float | np.number | np.bool_) for item in items):
        numbers = np.array(items, dtype=np.float64)
        return lambda rows: float(numbers[rows[:, 0].astype(np.intp)].mean())

    def value(rows: Array) -> float:
        with warnings.catch_warnings(action="ignore"):  # scikit-learn's, where some class was not drawn
            return float(aggregate([items[int(place)] for place in rows[:, 0]]))

    return value


def _is_proportion(items: Sequence[Any], aggregate: Callable[[Sequence[Any]], float]) -> bool:
    return aggregate is mean and all(isinstance(item, int | float | np.number | np.bool_) and float(item) in (0.0, 1.0) for item in items)


def _resamples(aggregate: Callable[[Sequence[Any]], float]) -> int:
    return _FEW_RESAMPLES if getattr(aggregate, "__name__", "") in _SLOW else _RESAMPLES


def _spelled(interval: Interval) -> dict[str, float | None]:
    return {"value": _finite(interval.value), "low": _finite(interval.low), "high": _finite(interval.high)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
