"""What a group's document says, for people: several seeds of a recipe, or its learning curve by data size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.report.numbers import count, decimals_for, fixed, p_cell, p_value, significant
from tunesmith.report.results import Estimate, OfMetric, metric_title

__all__ = ["GroupMetric", "GroupPlace", "group_sentences", "group_verdict", "read_group"]


@dataclass(frozen=True, slots=True)
class GroupMetric(OfMetric):
    """One metric on one data set, in every run of the group."""

    metric: str
    higher_is_better: bool | None
    rows: int | None
    by_run: tuple[Estimate | None, ...]
    base: Estimate | None
    entry: Mapping[str, Any]
    """As it stands in the document."""

    @property
    def mean(self) -> Estimate | None:
        """Over the seeds."""
        return Estimate.read(self.entry.get("tuned"))

    @property
    def difference(self) -> Estimate | None:
        """Of the mean over the seeds to the base."""
        return Estimate.read(self.entry.get("difference"))

    @property
    def last_step(self) -> Estimate | None:
        """Of a curve: what the largest size gains over the one before."""
        return Estimate.read(self.entry["steps"][-1])

    @property
    def last_p(self) -> str:
        """The p-value of that gain, corrected for all steps, as a table's cell."""
        return p_cell(_corrected_p(self.entry["steps"][-1]))

    @property
    def per_doubling(self) -> Estimate | None:
        """Of a curve: the fitted change where the rows are twice as many."""
        return Estimate.read(self.entry["per_doubling"])

    @property
    def decimals(self) -> int:
        """Decimals that all of its numbers are shown with."""
        return decimals_for(*(e.ends for e in (*self.by_run, self.base, self.mean) if e))

    @property
    def verdict(self) -> str:
        """Of the mean against the base: better, worse, unclear or uncompared."""
        if self.difference is None:
            return "uncompared"
        low, high = self.difference.ends
        if self.difference.low is None or low <= 0 <= high or self.higher_is_better is None:
            return "unclear"
        return "better" if (self.difference.value > 0) == self.higher_is_better else "worse"


@dataclass(frozen=True, slots=True)
class GroupPlace:
    """A data set that the runs were judged on."""

    name: str
    metrics: tuple[GroupMetric, ...]


def read_group(document: Mapping[str, Any]) -> list[GroupPlace]:
    """The data sets of a document of schema `tunesmith/seeds/1` or `tunesmith/curve/1`, the test split first; those that nothing was measured on are left out."""
    parts: list[tuple[str, Mapping[str, Any]]] = [("test", document)]
    parts += [(name, part) for kind in ("tasks", "domains") for name, part in (document.get(kind) or {}).items()]
    found = [GroupPlace(name, tuple(_metric(metric, entry) for metric, entry in part["metrics"].items())) for name, part in parts]
    return [place for place in found if place.metrics]


def _metric(name: str, entry: Mapping[str, Any]) -> GroupMetric:
    values = [value if isinstance(value, Mapping) else {"value": value} for value in entry["values"]]
    return GroupMetric(
        name, entry["higher_is_better"], entry["rows"], tuple(map(Estimate.read, values)), Estimate.read(entry["base"]), entry
    )


def group_verdict(document: Mapping[str, Any]) -> tuple[str, str]:
    """(kind, words) of the badge: by the first metric of the test split."""
    places = read_group(document)
    if not places:
        return "uncompared", "Not measured"
    first = places[0].metrics[0]
    if "trend" in first.entry:
        return {
            "helps": ("better", "More data helps"),
            "helped": ("unclear", "More data helped, then no clear gain"),
            "flat": ("unclear", "Flat: no gain from more data can be seen"),
            "harms": ("worse", "More data made it worse"),
        }[first.entry["trend"]]
    return first.verdict, {
        "better": "Better than the base",
        "worse": "Worse than the base",
        "unclear": "No clear difference from the base",
        "uncompared": "No base to compare with",
    }[first.verdict]


def group_sentences(document: Mapping[str, Any]) -> list[str]:
    """The summary of a group, a sentence each."""
    places = read_group(document)
    if not places:
        return ["Nothing was measured on held-out data."]
    first = places[0].metrics[0]
    return list(_of_curve(first) if "trend" in first.entry else _of_seeds(first, document))


def _of_seeds(first: GroupMetric, document: Mapping[str, Any]) -> Iterator[str]:
    places, entry, num_seeds = first.decimals, first.entry, len(document["runs"])
    if first.mean is None:
        yield f"{first.title} has no value in some of the {num_seeds} runs."
    else:
        low, high = (fixed(entry[key], places) for key in ("min", "max"))
        yield (
            f"Over {num_seeds} seeds {first.title} is {first.mean.text(places)} on average, from {low} to {high} by seed, with a standard deviation "
            f"of {significant(entry['sd'], 2)}, on {count(first.rows or 0)} test rows."
        )
    if first.base is not None and first.difference is not None:
        words = {"better": "better", "worse": "worse"}.get(first.verdict, "no clear difference")
        yield f"Against the base, {first.base.text(places)}: {first.difference.change_text(places)}, {words}."
    yield "The intervals cover the test rows and the seeds; of so few seeds they say little of how far others would lie from these."
    choice = document["choice"]
    if choice is None and not any(run["steps"] for run in document["runs"]):
        yield "Nothing was trained: there are no weights to choose among, and none of the runs is chosen."
    elif choice is None:
        yield "No validation split: none of the runs is chosen, as the test rows must not choose."
    else:
        yield (
            f"Use {choice['run']}: the best {metric_title(choice['metric'])} on the validation split ({significant(choice['value'])}). "
            "The test rows had no say in it."
        )


def _of_curve(first: GroupMetric) -> Iterator[str]:
    entry = first.entry
    steps, whole, last = entry["steps"], entry["whole"], entry["steps"][-1]
    lower = f" ({first.direction})" if first.direction else ""
    if entry["trend"] == "helps":
        yield f"More data helps: {_step(first, last)}{lower}."
    elif entry["trend"] == "helped":
        gains = [step for step in (whole, *steps) if step["verdict"] == "better"]
        yield f"More data helped: {_step(first, gains[0])}{lower}. The last step gives no clear gain any more: {_step(first, last)}."
    elif entry["trend"] == "harms":
        falls = [step for step in (whole, *steps) if step["verdict"] == "worse"]
        yield f"More of this data made it worse: {_step(first, falls[0])}{lower}."
    else:
        yield f"Flat: more of this data gives nothing that can be seen: {_step(first, whole)}{lower}."
    slope = first.per_doubling
    if slope is not None:
        yield f"Fitted over all sizes, each doubling of the rows changes {first.title} by {slope.change_text(decimals_for(slope.ends))}."
    yield "Each size was trained once: the intervals cover the test rows, not what another seed would change."


def _corrected_p(step: Mapping[str, Any]) -> float | None:
    """Groups of older versions have only the step's own."""
    return step.get("p_holm", step["p"])  # type: ignore[no-any-return]


def _step(metric: GroupMetric, step: Mapping[str, Any]) -> str:
    """`from 1,200 to 4,000 rows accuracy +0.030 (0.010–0.050), p = 0.003`."""
    change = Estimate.read(step)
    said = "no value" if change is None else change.change_text(decimals_for(change.ends))
    p = _corrected_p(step)
    tested = f", {p_value(p)}" if p is not None and math.isfinite(p) else ""
    return f"from {count(step['from_rows'])} to {count(step['to_rows'])} rows {metric.title} {said}{tested}"
