"""What a comparison of runs says, for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith import __version__
from tunesmith.report.numbers import MISSING, count, decimals_for, duration, fixed, p_cell, size
from tunesmith.report.page import environment
from tunesmith.report.results import Estimate, OfMetric, metric_title

__all__ = ["ComparedMetric", "compare_page", "compare_sentences", "cost_text", "letters", "read_compared", "shown"]


@dataclass(frozen=True, slots=True)
class ComparedMetric(OfMetric):
    """One metric on one data set, in every run, and the differences of the others to the first."""

    data: str
    metric: str
    higher_is_better: bool | None
    values: tuple[Estimate | None, ...]
    differences: tuple[Mapping[str, Any] | None, ...]

    @property
    def decimals(self) -> int:
        """Decimals that all of its numbers are shown with."""
        return decimals_for(*(e.ends for e in self.values if e))

    def change(self, at: int) -> Estimate | None:
        """The difference of the run `at`, counted from the second."""
        return Estimate.read(self.differences[at])

    def verdict(self, at: int) -> str:
        """Of that difference, after the correction."""
        one = self.differences[at]
        return "uncompared" if one is None else str(one["verdict"])

    def detectable_text(self, at: int) -> str:
        """The smallest difference that can be seen, as a table's cell."""
        found = (self.differences[at] or {}).get("detectable")
        return MISSING if found is None else fixed(found, self.decimals)

    def p_text(self, at: int) -> str:
        """Its p-value after the correction."""
        one = self.differences[at]
        return p_cell(None if one is None else one["p_holm"])


def read_compared(document: Mapping[str, Any]) -> list[ComparedMetric]:
    """The metrics of a document of schema `tunesmith/runs-compare/1`, regressions first."""
    return [
        ComparedMetric(
            one["data"], one["metric"], one["higher_is_better"], tuple(map(Estimate.read, one["values"])), tuple(one["differences"])
        )
        for one in document["comparisons"]
    ]


def letters(document: Mapping[str, Any]) -> list[str]:
    """What the runs are called in tables: A, B, C, ...; numbers where there are more than letters."""
    total = len(document["runs"])
    return [chr(ord("A") + number) if total <= 26 else str(number + 1) for number in range(total)]


def compare_sentences(document: Mapping[str, Any]) -> list[str]:
    """The summary: for each run but the first, how many metrics are worse, better, and not clearly different."""
    metrics, names = read_compared(document), letters(document)
    said = []
    for at, name in enumerate(names[1:]):
        by = {kind: [m for m in metrics if m.verdict(at) == kind] for kind in ("worse", "better", "unclear")}
        if not any(by.values()):
            said.append(f"{name} and A cannot be paired.")
            continue
        parts = [f"{len(found)} {words}{_named(found, at)}" for found, words in ((by["worse"], "worse"), (by["better"], "better")) if found]
        parts += [f"{len(by['unclear'])} not clearly different"] if by["unclear"] else []
        said.append(f"{name} against A: {', '.join(parts)}.")
    if document["num_tests"] > 1:
        said.append(f"p is corrected (Holm) for those of the {document['num_tests']} tests that answer the same question.")
    return said


def _named(found: list[ComparedMetric], at: int) -> str:
    """` (accuracy −0.03, macro-F1 −0.04)`, the first few."""
    named = [f"{m.title} {change.change_text(m.decimals).split(' (')[0]}" for m in found[:3] if (change := m.change(at))]
    return f" ({', '.join([*named, *(['…'] if len(found) > 3 else [])])})"


def shown(value: Any) -> str:
    """An answer, or a value of a recipe, as text in one line."""
    if value is None:
        return MISSING
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def cost_text(key: str, value: float | None) -> str:
    """A cost in its unit."""
    if value is None:
        return MISSING
    return duration(value) if key.endswith("_seconds") else size(value) if key.endswith("_bytes") else count(value)


def compare_page(document: Mapping[str, Any]) -> str:
    """The whole self-contained page of a document of schema `tunesmith/runs-compare/1`."""
    metrics = read_compared(document)
    worst = min(
        (("worse", "better", "unclear").index(m.verdict(at)) for m in metrics for at, d in enumerate(m.differences) if d), default=3
    )
    verdict = [
        ("worse", "Some metric is worse"),
        ("better", "Better, and nothing worse"),
        ("unclear", "No clear difference"),
        ("uncompared", "Not paired"),
    ][worst]
    context = {
        "compared": document,
        "version": __version__,
        "names": letters(document),
        "metrics": metrics,
        "verdict": verdict,
        "sentences": compare_sentences(document),
        "shown": shown,
        "cost_text": cost_text,
        "metric_title": metric_title,
    }
    return environment().get_template("compare.html.j2").render(context)
