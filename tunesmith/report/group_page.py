"""The page of a group of runs: several seeds side by side, or a metric against the rows that were trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith import __version__
from tunesmith.core.files import write_text
from tunesmith.core.run import GroupDirectory
from tunesmith.report.groups import GroupMetric, group_sentences, group_verdict, read_group
from tunesmith.report.intervals import upright, whisker
from tunesmith.report.numbers import compact, count, fixed
from tunesmith.report.page import environment
from tunesmith.report.results import Estimate, file_name
from tunesmith.report.svg import Scale, element, label, level_lines, path, picture, tick_text, ticks

__all__ = ["curve_panel", "group_page", "render_group", "room", "seeds_panel"]

_WIDTH, _NAMES, _RIGHT = 310, 66, 302
_TITLE, _LINE, _AXIS = 28, 24, 24
_CURVE_WIDTH, _LEFT, _TOP, _BOTTOM, _CURVE_HEIGHT = 420, 52, 34, 206, 244


def render_group(group: GroupDirectory) -> None:
    """Write report.html of a group whose runs are done. Raises: RunError, where group.json is missing or broken."""
    write_text(group.report_html, group_page(group.read_json(group.group_json)))


def group_page(document: Mapping[str, Any]) -> str:
    """The whole self-contained page of a document of schema `tunesmith/seeds/1` or `tunesmith/curve/1`."""
    places = read_group(document)
    is_curve = document["schema"] == "tunesmith/curve/1"
    runs = [run["run"] for run in document["runs"]]
    rows = [run["train_rows"] for run in document["runs"]]
    panels = [(place.name, [curve_panel(m, rows) if is_curve else seeds_panel(m, runs) for m in place.metrics]) for place in places]
    context = {
        "group": document,
        "version": __version__,
        "is_curve": is_curve,
        "is_trained": any(run["steps"] for run in document["runs"]),
        "title": document["name"],
        "source": file_name(document["data"]["source"]),
        "verdict": group_verdict(document),
        "sentences": group_sentences(document),
        "first": places[0].metrics[0] if places else None,
        "places": places,
        "panels": panels,
    }
    return environment().get_template("group.html.j2").render(context)


def seeds_panel(metric: GroupMetric, runs: Sequence[str]) -> str:
    """The base, each seed's run and the mean over them, one below the other; the mean with its interval over rows and seeds."""
    lines: list[tuple[str, Estimate | None, str]] = [("base", metric.base, "base")] if metric.base else []
    lines += [(run, estimate, "seed") for run, estimate in zip(runs, metric.by_run, strict=True)]
    lines += [("mean", metric.mean, "tuned")]
    drawn = [(name, estimate, kind) for name, estimate, kind in lines if estimate]
    x = Scale(*room([end for _, estimate, _ in drawn for end in estimate.ends]), _NAMES, _RIGHT)
    bottom = _TITLE + _LINE * len(drawn) + 4
    content = _panel_title(metric)
    for value in ticks(x.low, x.high, 3):
        content += element("line", class_="grid", x1=x(value), x2=x(value), y1=_TITLE, y2=bottom)
        content += label(tick_text(value), x(value), bottom + 17, anchor="middle")
    for number, (name, estimate, kind) in enumerate(drawn):
        y = _TITLE + _LINE * number + 14
        content += label(name, _NAMES - 10, y + 4, "row-label", "end") + whisker(estimate, x, y, kind)
    said = "; ".join(f"{name}: {estimate.text(metric.decimals)}" for name, estimate, _ in drawn)
    return picture(content, _WIDTH, bottom + _AXIS, f"{metric.title} by seed", f"{said}.")


def curve_panel(metric: GroupMetric, num_rows: Sequence[int]) -> str:
    """The metric with its 95 % intervals against the rows that were trained on, on a logarithmic scale; the base as a line."""
    points = [(math.log2(rows), rows, estimate) for rows, estimate in zip(num_rows, metric.by_run, strict=True) if estimate]
    ends = [end for _, _, estimate in points for end in estimate.ends]
    span = max(ends) - min(ends)
    is_near = metric.base is not None and min(ends) - span <= metric.base.value <= max(ends) + span  # else it would press the curve flat
    ends += [metric.base.value] if metric.base and is_near else []
    x = Scale(math.log2(num_rows[0]), math.log2(num_rows[-1]), _LEFT + 16, _CURVE_WIDTH - 24)
    y = Scale(*room(ends), _BOTTOM, _TOP)
    content = _panel_title(metric) + level_lines(ticks(y.low, y.high), y, _LEFT, _CURVE_WIDTH)
    if metric.base and is_near:
        at = y(metric.base.value)
        content += element("line", class_="majority", x1=_LEFT, x2=_CURVE_WIDTH, y1=at, y2=at) + label("base", _LEFT + 4, at - 5, "note")
    elif metric.base:
        is_below = metric.base.value < min(ends)
        text = f"base {fixed(metric.base.value, metric.decimals)}, far {'below' if is_below else 'above'}"
        content += label(text, _CURVE_WIDTH, _BOTTOM - 6 if is_below else _TOP + 4, "note", "end")
    content += path([(x(place), y(estimate.value)) for place, _, estimate in points], "validation")
    for place, rows, estimate in points:
        content += upright(estimate, x(place), y, "tuned")
        content += label(compact(rows), x(place), _BOTTOM + 18, anchor="middle")
    content += label("training rows", (x.start + x.end) / 2, _BOTTOM + 35, anchor="middle")
    said = "; ".join(f"{count(rows)} rows: {estimate.text(metric.decimals)}" for _, rows, estimate in points)
    base = f"; base: {fixed(metric.base.value, metric.decimals)}" if metric.base else ""
    return picture(content, _CURVE_WIDTH, _CURVE_HEIGHT, f"{metric.title} by training rows", f"{said}{base}.")


def _panel_title(metric: GroupMetric) -> str:
    return label(metric.title + (f", {metric.direction}" if metric.direction else ""), 0, 16, "panel-title")


def room(ends: Sequence[float]) -> tuple[float, float]:
    """The bounds of a scale that holds `ends` with some room."""
    low, high = min(ends), max(ends)
    room = 0.07 * (high - low) or 0.1 * abs(low) or 0.5
    return (max(low - room, 0.0) if low >= 0 else low - room), high + room
