"""From what the legs measured to the rows of the table and the named questions. Pure functions."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.methods.named import METHODS, ZERO_SHOT, Workload
from tunesmith.core import registry
from tunesmith.core.crossed import Stats, difference, mean
from tunesmith.core.statistics import Interval
from tunesmith.core.types import Metric

__all__ = ["Answer", "Found", "TableRow", "answers", "rows_of"]

Found = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Method -> seed -> what its leg measured."""
_SMALL_SHARE = 0.02
_NF4_BASE = "the base in NF4"


@dataclass(frozen=True, slots=True)
class TableRow:
    """A method on a workload, over the seeds that it has."""

    name: str
    title: str
    seeds: tuple[int, ...]
    metrics: Mapping[str, Interval]
    """Means over the seeds."""
    gain: Interval | None = None
    """Of the first metric, the method minus the base in the recipe's own precision; None of the base itself."""
    trained_parameters: int = 0
    share: float = 0.0
    """Of all parameters."""
    peak_memory_bytes: int | None = None
    """The most of any seed."""
    train_seconds: float | None = None
    """Of the leg that is timed."""
    train_seconds_ratio: float | None = None
    """Over LoRA's, of the legs that are timed."""
    saved_bytes: int = 0
    slow_down: float | None = None
    """Seconds to answer over the base's, of the leg that is timed."""
    train_loss: float | None = None
    validation_loss: float | None = None
    """Both at the end, means over the seeds, nats."""
    learning_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A named question: the difference of two rows of the table."""

    question: str
    difference: Interval | None
    """None where a side is missing."""
    note: str = ""


def rows_of(workload: Workload, found: Found, timed: Mapping[str, Mapping[str, Any]]) -> list[TableRow]:
    """The table of a workload, the best by its first metric first; a method has a row where one of its legs came to its end. `timed`: method -> its leg that ran alone."""
    done = _done(found)
    whole = {name: one for name, one in timed.items() if "rows" in one}
    rows = [_row(workload, name, done, whole) for name in METHODS if done.get(name)]
    base = _base(done, workload.metrics[0])
    if base is not None:
        asked = {name: _base(done, name) for name in workload.metrics}
        metrics = {name: mean(stats, _metric(name).value) for name, stats in asked.items() if stats is not None}
        rows.append(TableRow(ZERO_SHOT, "zero-shot, the base", tuple(sorted(base.by_seed)), metrics, slow_down=1.0))
    higher = _metric(workload.metrics[0]).higher_is_better
    return sorted(rows, key=lambda row: row.metrics[workload.metrics[0]].value, reverse=bool(higher))


def answers(workload: Workload, found: Found) -> list[Answer]:
    """The named questions, whichever way they fall."""
    done, metric = _done(found), workload.metrics[0]
    stats = {name: _stats(legs, metric) for name, legs in done.items() if legs}
    base = _base(done, metric)
    if base is not None:
        stats[ZERO_SHOT] = base
    if done.get("qlora"):
        stats[_NF4_BASE] = _stats(done["qlora"], metric, "base")
    small = next((n for n in ("lora", "lora_r8") if n in METHODS and done.get(n) and _share(done[n]) < _SMALL_SHARE), "")
    asked = [_answer("LoRA with under 2 % of the parameters against full", small, "full", stats, metric, _small_note(small, done))]
    if workload.recipe in METHODS["head"].workloads:
        asked.append(_answer("head against zero-shot", "head", ZERO_SHOT, stats, metric))
    asked.append(_answer("QLoRA, NF4, against LoRA", "qlora", "lora", stats, metric, _bytes_note(done)))
    asked.append(_answer("the base in NF4 against the base as it is, both before tuning", _NF4_BASE, ZERO_SHOT, stats, metric))
    return asked


def _answer(question: str, ours: str, theirs: str, stats: Mapping[str, Stats], metric: str, note: str = "") -> Answer:
    if ours not in stats or theirs not in stats or not set(stats[ours].by_seed) & set(stats[theirs].by_seed):
        return Answer(question, None, note)
    return Answer(question, difference(stats[ours], stats[theirs], _metric(metric).value), note)


def _done(found: Found) -> dict[str, dict[int, Mapping[str, Any]]]:
    """Without trainings that diverged."""
    return {name: {seed: one for seed, one in legs.items() if "rows" in one} for name, legs in found.items()}


def _metric(name: str) -> Metric:
    metric: Metric = registry.create("metric", name)
    return metric


def _stats(legs: Mapping[int, Mapping[str, Any]], metric: str, side: str = "tuned") -> Stats:
    return Stats.of({seed: one["rows"][metric] for seed, one in legs.items()}, side)


def _base(done: Mapping[str, Mapping[int, Mapping[str, Any]]], metric: str) -> Stats | None:
    """What the base said in the legs that had it in its own precision."""
    by_seed: dict[int, Mapping[str, Any]] = {}
    for legs in done.values():
        for seed, one in legs.items():
            if one["linear_weights"] is None:
                by_seed.setdefault(seed, one)
    return _stats(by_seed, metric, "base") if by_seed else None


def _share(legs: Mapping[int, Mapping[str, Any]]) -> float:
    one = next(iter(legs.values()))
    return float(one["trained_parameters"] / one["total_parameters"])


def _small_note(name: str, done: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> str:
    return f"{METHODS[name].title}: {_share(done[name]):.2%} of the parameters" if name else "no LoRA with so few was measured"


def _bytes_note(done: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> str:
    kept = next((one["linear_weights"] for one in done.get("qlora", {}).values() if one["linear_weights"]), None)
    if kept is None:
        return ""
    return f"the base's linear weights take {kept['after_bytes'] / kept['before_bytes']:.1%} of what they take in fp32"


def _row(
    workload: Workload, name: str, done: Mapping[str, Mapping[int, Mapping[str, Any]]], timed: Mapping[str, Mapping[str, Any]]
) -> TableRow:
    legs, first = done[name], workload.metrics[0]
    one = legs[min(legs)]
    base, own_time, lora_time = _base(done, first), timed.get(name), timed.get("lora")
    own = _stats(legs, first)
    shares_seeds = base is not None and set(base.by_seed) & set(own.by_seed)
    return TableRow(
        name,
        METHODS[name].title,
        tuple(sorted(legs)),
        {metric: mean(_stats(legs, metric), _metric(metric).value) for metric in workload.metrics},
        gain=difference(own, base, _metric(first).value) if base is not None and shares_seeds else None,
        trained_parameters=one["trained_parameters"],
        share=_share(legs),
        peak_memory_bytes=max(found["peak_memory_bytes"] for found in legs.values()),
        train_seconds=own_time["train_seconds"] if own_time else None,
        train_seconds_ratio=own_time["train_seconds"] / lora_time["train_seconds"] if own_time and lora_time else None,
        saved_bytes=one["saved_bytes"],
        slow_down=own_time["slow_down"]["ratio"] if own_time and own_time["slow_down"] else None,
        train_loss=statistics.fmean(found["losses"]["train"] for found in legs.values()),
        validation_loss=_mean_of([found["losses"]["validation"] for found in legs.values()]),
        learning_rate=one["learning_rate"],
    )


def _mean_of(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
