"""The measured results of a report, typed: base against tuned, per data set and metric, and what can be said of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tunesmith.core.significance import SIGNIFICANT_P
from tunesmith.report.numbers import MISSING, NO_BREAK_SPACE, count, decimals_for, fixed, interval, p_cell, p_value, signed, significant

__all__ = [
    "Comparison",
    "DataSet",
    "Estimate",
    "OfMetric",
    "Verdict",
    "comparisons",
    "file_name",
    "metric_title",
    "note_on_p",
    "notes",
    "read_comparison",
]

Verdict = Literal["better", "worse", "changed", "unclear", "uncompared"]
"""`changed`: clearly, in a metric of which more is neither better nor worse."""


_TITLES = {
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "mcc": "MCC",
    "ece": "calibration error",
    "brier": "Brier score",
    "token_f1": "token F1",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
    "answer_words": "words an answer",
    "answer_tokens": "tokens an answer",
    "held_out_reward": "held-out reward",
    "kl": "KL",
    "json_valid": "valid JSON",
    "json_schema": "JSON of the schema",
    "instructions_followed": "instructions followed",
    "tool_calls_valid": "valid tool calls",
    "f1": "F1",
    "choice_accuracy": "accuracy of choices",
    "question_exact_match": "exact match of questions",
    "bleu": "BLEU",
    "chrf": "chrF",
    "exact_match": "exact match",
    "pearson": "Pearson's r",
    "spearman": "Spearman's rho",
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "labels_micro_f1": "micro-F1",
    "labels_jaccard": "Jaccard index",
    "labels_exact_match": "exact match of labels",
    "entity_f1": "entity F1",
    "squad_f1": "F1 (SQuAD)",
    "squad_exact_match": "exact match (SQuAD)",
    "bits_per_byte": "bits per byte",
}


def metric_title(name: str) -> str:
    """A metric's name as it is written in a sentence."""
    if name in _TITLES:
        return _TITLES[name]
    if name.lower().startswith("rouge"):
        return "ROUGE-" + name[5:].strip("_-").upper().replace("LSUM", "Lsum")
    return name.replace("_", " ")


def file_name(source: str) -> str:
    """The last part of a path; aliases and hub ids (`owner/name`) stay whole."""
    looks_like_path = source.startswith(("/", "./", "../", "~")) or source.count("/") > 1 or "\\" in source
    return source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if looks_like_path else source


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value with its 95 % interval; `low` and `high` are None where there is no interval."""

    value: float
    low: float | None
    high: float | None

    @classmethod
    def read(cls, given: Mapping[str, Any] | None) -> Estimate | None:
        """Of `{"value", "low", "high"}`; None where there is no value."""
        if not given or given.get("value") is None:
            return None
        low, high = given.get("low"), given.get("high")
        return cls(given["value"], low, high) if low is not None and high is not None else cls(given["value"], None, None)

    @property
    def ends(self) -> tuple[float, float]:
        """Low and high, or the value twice."""
        return (self.value, self.value) if self.low is None or self.high is None else (self.low, self.high)

    def range_text(self, decimals: int) -> str:
        """The interval as text; empty where there is none, or none that could be told from the value."""
        return "" if self.low is None or self.low == self.high else interval(*self.ends, decimals)

    def text(self, decimals: int) -> str:
        """`0.845 (0.829–0.860)`."""
        found = self.range_text(decimals)
        return fixed(self.value, decimals) + (f" ({found})" if found else "")

    def change_text(self, decimals: int) -> str:
        """As `text`, with the sign: `+0.165 (0.144–0.186)`."""
        found = self.range_text(decimals)
        return signed(self.value, decimals) + (f" ({found})" if found else "")


class OfMetric:
    """What is said of a metric: how it is called, and which way is better."""

    __slots__ = ()

    metric: str
    higher_is_better: bool | None

    @property
    def title(self) -> str:
        """The metric's name as it is written."""
        return metric_title(self.metric)

    @property
    def direction(self) -> str:
        """Which way is better, where it is not up; empty where it is, and where more is neither better nor worse."""
        return "lower is better" if self.higher_is_better is False else ""


@dataclass(frozen=True, slots=True)
class Comparison(OfMetric):
    """One metric on one data set, base against tuned."""

    metric: str
    higher_is_better: bool | None
    """None where more is neither better nor worse."""
    rows: int | None
    base: Estimate | None
    tuned: Estimate | None
    difference: Estimate | None
    p: float | None
    """As corrected for the number of tests, where the report says so."""
    test: str
    majority: Estimate | None
    """What always giving the same answer scores."""
    constant: str = "majority class"
    """What that answer is called."""
    detectable: float | None = None
    """The smallest difference that so many rows show four times in five."""
    excluded: int = 0
    """Rows that were answered, and that the metric says nothing of."""
    details: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """`base` and `tuned` -> numbers that explain the value."""

    @property
    def decimals(self) -> int:
        """Decimals that this comparison's numbers are shown with, the same for all of them so that they can be subtracted by eye."""
        return decimals_for(*(e.ends for e in (self.base, self.tuned, self.majority) if e))

    @property
    def verdict(self) -> Verdict:
        """What the measurement warrants: a difference is clear where p < 0.05 and the interval leaves out zero, as far as each is there."""
        if self.difference is None:
            return "uncompared"
        low, high = self.difference.ends
        by_interval = (low > 0 or high < 0) if self.difference.low is not None else self.p is not None
        if not by_interval or (self.p is not None and self.p >= SIGNIFICANT_P):
            return "unclear"
        if self.higher_is_better is None:
            return "changed"
        return "better" if (self.difference.value > 0) == self.higher_is_better else "worse"

    @property
    def against_majority(self) -> Verdict:
        """How the tuned model stands to always giving the most frequent answer: `unclear` where its interval holds that value."""
        if self.tuned is None or self.majority is None:
            return "uncompared"
        low, high = self.tuned.ends
        if low <= self.majority.value <= high:
            return "unclear"
        return "better" if (self.tuned.value > self.majority.value) == self.higher_is_better else "worse"

    @property
    def test_text(self) -> str:
        """`McNemar's test, p < 0.001`; empty where there was no test."""
        if self.p is None:
            return ""
        name = {"mcnemar": "McNemar's test"}.get(self.test.lower(), self.test)
        return f"{name}, {p_value(self.p)}".removeprefix(", ")

    @property
    def detectable_text(self) -> str:
        """The smallest difference that can be seen, as a table's cell."""
        return MISSING if self.detectable is None else fixed(self.detectable, self.decimals)

    @property
    def p_text(self) -> str:
        """The p value alone, as a table's cell."""
        return p_cell(self.p)


@dataclass(frozen=True, slots=True)
class DataSet:
    """The comparisons on one data set: the run's own test split, the part of it that is a task of a mixture, or a foreign domain."""

    name: str
    is_own: bool
    rows: int | None
    """None where the metrics were measured on different numbers of rows."""
    comparisons: tuple[Comparison, ...]
    is_task: bool = False

    @property
    def place(self) -> str:
        """What kind of data set it is, for people."""
        return "held-out test" if self.is_own else "task of the mixture, held-out test" if self.is_task else "out of domain"

    def find(self, metric: str) -> Comparison | None:
        """The comparison of that metric."""
        return next((c for c in self.comparisons if c.metric == metric), None)


def comparisons(report: Mapping[str, Any]) -> list[DataSet]:
    """What report.json holds of measurements: the own test split first, then each task of a mixture, then each domain. Empty where nothing was measured."""
    splits = (report.get("data") or {}).get("splits") or {}
    own = splits.get("test") or splits.get("train") or {}
    tasks = report.get("tasks") or {}
    name = "all tasks" if tasks else file_name(str(own.get("source") or "test split"))
    found = [_data_set(name, report, is_own=True)]
    found += [_data_set(task, measured or {}, is_own=False, is_task=True) for task, measured in tasks.items()]
    for domain, measured in (report.get("domains") or {}).items():
        found.append(_data_set(domain, measured or {}, is_own=False))
    return [data for data in found if data.comparisons]


def _data_set(name: str, measured: Mapping[str, Any], *, is_own: bool, is_task: bool = False) -> DataSet:
    baselines = measured.get("baselines") or {}
    is_class = bool(baselines.get("majority"))
    majority = baselines.get("majority") or baselines.get("constant") or baselines.get("length") or {}
    constant = "majority class" if is_class else "length alone" if "length" in baselines else "constant answer"
    found = [
        read_comparison(metric, entry, Estimate.read(majority.get(metric)), constant)
        for metric, entry in (measured.get("metrics") or {}).items()
    ]
    numbers_of_rows = {c.rows for c in found if c.rows}
    rows = measured.get("rows") if not numbers_of_rows else numbers_of_rows.pop() if len(numbers_of_rows) == 1 else None
    return DataSet(name, is_own, rows, tuple(found), is_task)


def read_comparison(
    metric: str, entry: Mapping[str, Any], majority: Estimate | None = None, constant: str = "majority class"
) -> Comparison:
    """One metric's entry of a report.json; `majority` is what a constant answer scores in it, and `constant` what that is called."""
    difference = entry.get("difference") or {}
    return Comparison(
        metric=metric,
        higher_is_better=entry.get("higher_is_better", True),
        rows=entry.get("rows"),
        base=Estimate.read(entry.get("base")),
        tuned=Estimate.read(entry.get("tuned")),
        difference=Estimate.read(difference),
        p=difference.get("p_holm", difference.get("p")),
        test=str(difference.get("test") or ""),
        majority=majority,
        constant=constant,
        detectable=difference.get("detectable"),
        excluded=entry.get("excluded") or 0,
        details={side: entry[side]["details"] for side in ("base", "tuned") if (entry.get(side) or {}).get("details")},
    )


def note_on_p(report: Mapping[str, Any]) -> str:
    """What its p-values are corrected for, as a sentence."""
    measured = [report, *(report.get("tasks") or {}).values(), *(report.get("domains") or {}).values()]
    entries = [entry for one in measured for entry in ((one or {}).get("metrics") or {}).values()]
    if not any("p_holm" in (entry.get("difference") or {}) for entry in entries):
        return "p is not corrected for the number of metrics."
    return (
        "p of the first metric on the test split stands as it is; those of the first metrics elsewhere are corrected together, and so are, on each data set, "
        "those of its other metrics (Holm)."
    )


def notes(comparison: Comparison) -> list[str]:
    """What stands in small letters beside a metric: the rows that it leaves out, and what explains its value."""
    found = [f"{count(comparison.excluded)} rows left out"] if comparison.excluded else []
    for side, numbers in comparison.details.items():
        told = ", ".join(f"{name} = {significant(value)}".replace("_", " ").replace(" ", NO_BREAK_SPACE) for name, value in numbers.items())
        found.append(f"{side}: {told}")
    return found
