"""The page of a comparison: the verdict, every arm with its interval, quality against cost, and the table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tunesmith import __version__
from tunesmith.core.files import write_text
from tunesmith.core.run import GroupDirectory
from tunesmith.report.comparison import ArmRow, Compared, comparison_verdict, read_comparison
from tunesmith.report.group_page import room
from tunesmith.report.intervals import upright, whisker
from tunesmith.report.numbers import duration, significant, size, usd
from tunesmith.report.page import environment
from tunesmith.report.predicted import arm_predictions
from tunesmith.report.results import file_name
from tunesmith.report.searched import curves_panel, read_tried
from tunesmith.report.svg import Scale, apart, element, label, level_lines, path, picture, tick_text, ticks

__all__ = ["arms_panel", "comparison_page", "cost_panel", "render_comparison"]

_WIDTH, _NAMES, _RIGHT, _TITLE, _LINE, _AXIS = 640, 120, 630, 28, 26, 26
_COST_WIDTH, _LEFT, _TOP, _BOTTOM, _COST_HEIGHT = 420, 52, 34, 206, 248
_COSTS = (
    ("train_seconds", "training", duration),
    ("seconds_per_answer", "time for an answer", lambda value: duration(value) if value >= 1 else f"{significant(1000 * value, 2)} ms"),
    ("memory_bytes", "peak memory", size),
    ("usd_per_answer", "price of an answer", usd),
)


def render_comparison(group: GroupDirectory) -> None:
    """Write report.html of a finished comparison. Raises: RunError, where group.json is missing or broken."""
    write_text(group.report_html, comparison_page(group.read_json(group.group_json)))


def comparison_page(document: Mapping[str, Any]) -> str:
    """The whole self-contained page of a document of schema `tunesmith/compare/1`."""
    found = read_comparison(document)
    fractions, tried = read_tried(document)
    panels = [cost_panel(found, document["front"][by], by, title, said) for by, title, said in _COSTS]
    context = {
        "document": document,
        "version": __version__,
        "source": file_name(document["data"]["source"]),
        "found": found,
        "verdict": comparison_verdict(document),
        "arms_panel": arms_panel(found),
        "cost_panels": [panel for panel in panels if panel],
        "fractions": fractions,
        "tried": tried,
        "curves_panel": curves_panel(document),
        "predictions": arm_predictions(document),
        "has_prompts": any(row.prompt_tokens for row in found.rows),
        "has_prices": found.has_prices,
    }
    return environment().get_template("comparison.html.j2").render(context)


def _kind(row: ArmRow) -> str:
    return "tuned" if row.is_chosen else "seed" if row.standing == "may be best" else "unclear"


def arms_panel(found: Compared) -> str:
    """Every arm with its 95 % interval, the best value first: the chosen one full, those that may be as good hollow, the others grey."""
    drawn = [row for row in found.rows if row.value]
    x = Scale(*room([end for row in drawn if row.value for end in row.value.ends]), _NAMES, _RIGHT)
    bottom = _TITLE + _LINE * len(drawn) + 4
    content = label(found.title + (f", {found.direction}" if found.direction else ""), 0, 16, "panel-title")
    for value in ticks(x.low, x.high):
        content += element("line", class_="grid", x1=x(value), x2=x(value), y1=_TITLE, y2=bottom)
        content += label(tick_text(value), x(value), bottom + 17, anchor="middle")
    for number, row in enumerate(drawn):
        y = _TITLE + _LINE * number + 14
        content += label(row.name, _NAMES - 12, y + 4, "row-label", "end") + whisker(row.value, x, y, _kind(row))
    said = "; ".join(f"{row.name}: {row.value.text(found.decimals)}, {row.standing}" for row in drawn if row.value)
    return picture(content, _WIDTH, bottom + _AXIS, f"{found.title} by arm", f"{said}.")


def cost_panel(found: Compared, front: list[str], by: str, title: str, said: Any) -> str:
    """The metric against a cost, on a logarithmic scale, with the Pareto front as a line; empty where fewer than two arms have such a cost."""
    points = [(getattr(row, by), row) for row in found.rows if row.value and getattr(row, by)]
    if len(points) < 2:
        return ""
    costs = [math.log10(cost) for cost, _ in points]
    x = Scale(min(costs) - 0.1, max(costs) + 0.1, _LEFT + 16, _COST_WIDTH - 40)
    y = Scale(*room([end for _, row in points if row.value for end in row.value.ends]), _BOTTOM, _TOP)
    content = label(f"{found.title} by {title}", 0, 16, "panel-title") + level_lines(ticks(y.low, y.high), y, _LEFT, _COST_WIDTH)
    on_front = sorted((x(math.log10(cost)), y(row.value.value)) for cost, row in points if row.name in front and row.value)
    content += path(on_front, "majority")
    heights = apart({row.name: y(row.value.value) - 6 for _, row in points if row.value})
    for cost, row in points:
        at = x(math.log10(cost))
        content += upright(row.value, at, y, _kind(row)) + label(row.name, at + 8, heights[row.name], "note")
    for cost in {min(cost for cost, _ in points), max(cost for cost, _ in points)}:
        content += label(said(cost), x(math.log10(cost)), _BOTTOM + 18, anchor="middle")
    content += label(f"{title}, logarithmic", (x.start + x.end) / 2, _BOTTOM + 36, anchor="middle")
    drawn = [row.name for _, row in points if row.name in front]
    told = "; ".join(f"{row.name}: {said(cost)}" for cost, row in points)
    return picture(content, _COST_WIDTH, _COST_HEIGHT, f"{found.title} by {title}", f"{told}. On the front: {', '.join(drawn)}.")
