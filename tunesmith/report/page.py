"""Turn a run's report.json into a page, a notebook fragment and a model card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from tunesmith.core.files import write_text
from tunesmith.core.run import RunDirectory
from tunesmith.report import numbers
from tunesmith.report.axes import read_axes
from tunesmith.report.card import model_card
from tunesmith.report.context import adapted_by, context, tuned_side
from tunesmith.report.conversations import read_conversations
from tunesmith.report.curves import curve_panels
from tunesmith.report.direct import direct
from tunesmith.report.forgetting import forgetting
from tunesmith.report.intervals import interval_panels
from tunesmith.report.judgement import judgement_facts
from tunesmith.report.predicted import predictions
from tunesmith.report.reliability import reliability_panels
from tunesmith.report.results import Estimate, comparisons, file_name, metric_title, note_on_p, notes
from tunesmith.report.summary import summarize

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["environment", "html_fragment", "page", "read_report", "render"]

MOST_LABELS = 12
"""Labels of a confusion matrix or a balance table that are shown whole; beyond, what matters most is listed."""


def render(run: RunDirectory) -> None:
    """Write report.html and the model card README.md of a run that has a report.json.

    Raises: RunError, where report.json is missing or broken.
    """
    report = read_report(run)
    write_text(run.report_html, page(report))
    write_text(run.model_card, model_card(report))


def html_fragment(run: RunDirectory) -> str:
    """Summary, table and charts as HTML with its own scoped styles, to embed in a notebook or another page."""
    return environment().get_template("fragment.html.j2").render(_context(read_report(run)))


def page(report: Mapping[str, Any]) -> str:
    """The whole self-contained page of a report.json."""
    return environment().get_template("report.html.j2").render(_context(report))


def read_report(run: RunDirectory) -> dict[str, Any]:
    """The run's report.json; its learning curves from steps.jsonl, where the report holds none, and what was measured of the run later."""
    report: dict[str, Any] = run.read_json(run.report_json)
    curves = report.get("curves") or {}
    if not curves.get("train") and not curves.get("validation"):
        events = list(run.read_steps())
        curves = curves | {
            "train": [e for e in events if e.get("event") == "step"],
            "validation": [e for e in events if e.get("event") == "validation"],
        }
    later = {"axes": run.axes, "conversations": run.conversations}
    return report | {"curves": curves} | {name: run.read_json(file) for name, file in later.items() if file.is_file()}


def _context(report: Mapping[str, Any]) -> dict[str, Any]:
    data = comparisons(report)
    splits = (report.get("data") or {}).get("splits") or {}
    kind = (report.get("task") or {}).get("kind")
    return {
        "report": report,
        "summary": summarize(report),
        "data_sets": data,
        "first": data[0].comparisons[0] if data else None,
        "has_majority": any(c.majority for d in data for c in d.comparisons),
        "constant": data[0].comparisons[0].constant if data else "",
        "has_p": any(c.p is not None for d in data for c in d.comparisons),
        "has_power": any(c.detectable is not None for d in data for c in d.comparisons),
        "note_on_p": note_on_p(report),
        "notes": notes,
        "reliability_panels": reliability_panels(report.get("reliability") or {}),
        "interval_panels": interval_panels(data),
        "curve_panels": curve_panels(
            report.get("curves") or {}, loss_unit="" if kind in ("regression", "grading") else "nats", is_policy=kind == "policy"
        ),
        "tuned": tuned_side(report),
        "adapted_by": adapted_by(report),
        "context": context(report),
        "direct": direct(report),
        "forgetting": forgetting(report),
        "axes": read_axes(report.get("axes")),
        "conversations": read_conversations(report.get("conversations")),
        "confusion": _confusion(report.get("confusion")),
        "balance": _balance(splits),
        "judgement": judgement_facts(report["judge"]) if report.get("judge") else [],
        "sources": _sources(splits),
        "predictions": predictions(report.get("predicted") or {}, report.get("cost") or {}),
    }


def _confusion(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The matrices by side, each cell (count, share of its row); with many labels, instead, the most frequent mistakes of both."""
    if not given or not given.get("labels"):
        return None
    labels = [str(name) for name in given["labels"]]
    sides = {side: given[side] for side in ("base", "tuned") if given.get(side)}
    by_label = [one | {side: Estimate.read(one[side]) for side in ("base", "tuned")} for one in given.get("by_label") or ()]
    if len(labels) > MOST_LABELS:
        counts = {side: {(i, j): n for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j} for side, matrix in sides.items()}
        pairs = sorted({p for found in counts.values() for p in found}, key=lambda p: -max(found.get(p, 0) for found in counts.values()))
        mistakes = [
            {"true": labels[i], "predicted": labels[j], **{side: found.get((i, j), 0) for side, found in counts.items()}}
            for i, j in pairs[:15]
        ]
        return {"labels": labels, "sides": {}, "mistakes": mistakes, "by_label": by_label}
    shares = {side: [[(n, n / (sum(row) or 1)) for n in row] for row in matrix] for side, matrix in sides.items()}
    return {"labels": labels, "sides": shares, "mistakes": [], "by_label": by_label}


def _balance(splits: Mapping[str, Any]) -> dict[str, Any] | None:
    """Label counts side by side by split, the most frequent first: (label, {split: (count, share)}), and how many labels are left out."""
    counted = {name: split["labels"] for name, split in splits.items() if split and split.get("labels")}
    if not counted:
        return None
    totals: dict[str, int] = {}
    for labels in counted.values():
        for label, n in labels.items():
            totals[label] = totals.get(label, 0) + n
    order = sorted(totals, key=lambda label: -totals[label]) if len(totals) > MOST_LABELS else list(totals)
    rows = [
        (label, {s: (found.get(label, 0), found.get(label, 0) / (sum(found.values()) or 1)) for s, found in counted.items()})
        for label in order[:MOST_LABELS]
    ]
    return {"splits": list(counted), "rows": rows, "num_left_out": len(totals) - len(rows)}


def _sources(splits: Mapping[str, Any]) -> list[tuple[list[str], str, str]]:
    """(splits, source, hash): those that were read from the same bytes together."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, split in splits.items():
        if split:
            found.setdefault((split.get("source") or "", split.get("sha256") or ""), []).append(name)
    return [(names, source, sha256) for (source, sha256), names in found.items()]


@cache
def environment() -> Environment:
    """Templates that escape everything, and in which what a report lacks is shown as a dash."""
    from jinja2 import ChainableUndefined, Environment, PackageLoader, Undefined

    def tolerant(format_: Callable[..., str]) -> Callable[..., str]:
        return lambda value, *rest: numbers.MISSING if value is None or isinstance(value, Undefined) else format_(value, *rest)

    made = Environment(
        loader=PackageLoader("tunesmith.report"),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for format_ in (
        numbers.compact,
        numbers.count,
        numbers.duration,
        numbers.percent,
        numbers.significant,
        numbers.size,
        numbers.usd,
        file_name,
        metric_title,
    ):
        made.filters[format_.__name__] = tolerant(format_)
    return made
