"""Turn what `tunesmith data check` found into a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith import __version__
from tunesmith.report.page import _balance, environment
from tunesmith.report.results import file_name
from tunesmith.report.svg import Scale, element, label, picture, ticks

__all__ = ["check_page"]

_WIDTH, _LEFT, _RIGHT, _LINE = 420, 150, 46, 34


def check_page(document: Mapping[str, Any]) -> str:
    """The whole self-contained page of a document of schema `tunesmith/check/1`. Text from the data is escaped."""
    splits = document["splits"]
    languages = _balance({name: {"labels": facts["languages"]} for name, facts in splits.items()})
    context = {
        "check": document,
        "version": __version__,
        "title": file_name(document["source"]),
        "counts": document["counts"],
        "verdict": _verdict(document["counts"]),
        "has_tokens": any(facts["lengths"] for facts in splits.values()),
        "has_words": any(facts.get("fertility") for facts in splits.values()),
        "context": next((facts["lengths"]["context"] for facts in splits.values() if facts["lengths"]), None),
        "balance": _balance(splits),
        "languages": languages,
        "shifts": [(shift, _risk_picture(shift)) for shift in document["shifts"]],
    }
    return environment().get_template("check.html.j2").render(context)


def _verdict(counts: Mapping[str, int]) -> tuple[str, str]:
    """(kind, words) of the badge under the title."""
    if counts["num_errors"]:
        return "worse", "Errors: mend them before tuning"
    return ("unclear", "No errors; warnings to look at") if counts["num_warnings"] else ("better", "Nothing wrong was found")


def _risk_picture(shift: Mapping[str, Any]) -> str:
    """Accuracies of the classifier of words with their intervals, one below the other; nothing where they are not known."""
    risk = shift["at_risk"]
    if not risk:
        return ""
    lines = [
        (f"on {shift['first']}", risk["own"], "base"),
        (f"on {shift['other']}", risk["other"], "tuned"),
        (f"with {risk['num_repair']} rows added", risk["repaired"], "tuned"),
        (f"learned from {shift['other']}", risk["reachable"], "base"),
    ]
    drawn = [(name, measured, kind) for name, measured, kind in lines if measured]
    low = max(min(*(measured["low"] for _, measured, _ in drawn), risk["majority"]) - 0.05, 0.0)
    height = 30 + _LINE * len(drawn)
    x = Scale(low, 1.0, _LEFT, _WIDTH - _RIGHT)
    content = "".join(
        element("line", class_="grid", x1=x(value), x2=x(value), y1=8, y2=height - 22)
        + label(f"{value:g}", x(value), height - 4, anchor="middle")
        for value in ticks(low, 1.0, 4)
    )
    content += element("line", class_="majority", x1=x(risk["majority"]), x2=x(risk["majority"]), y1=8, y2=height - 22)
    for number, (name, measured, kind) in enumerate(drawn):
        y = 24 + _LINE * number
        content += label(name, _LEFT - 12, y + 4, "row-label", "end")
        content += element("line", class_=f"{kind}-whisker", x1=x(measured["low"]), x2=x(measured["high"]), y1=y, y2=y)
        content += element("circle", class_=f"{kind}-dot", cx=x(measured["value"]), cy=y, r=4.5)
        content += label(f"{measured['value']:.3f}", _WIDTH, y + 4, "row-label", "end")
    said = "; ".join(f"{name}: {measured['value']:.3f}" for name, measured, _ in drawn)
    return picture(content, _WIDTH, height, f"Accuracy at risk from {shift['first']} to {shift['other']}", said)
