"""Base against tuned as dots with 95 % whiskers: a panel a metric, a row a data set."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.report.numbers import fixed
from tunesmith.report.results import Comparison, DataSet, Estimate
from tunesmith.report.svg import Scale, element, label, picture, tick_text, ticks

__all__ = ["interval_panels", "whisker"]

WIDTH = 310
LEFT, RIGHT = 8, 302
TITLE_HEIGHT, ROW_HEIGHT, AXIS_HEIGHT = 28, 54, 26
MOST_NAME_LETTERS = 30


def interval_panels(data: Sequence[DataSet]) -> list[str]:
    """One SVG a metric, in the report's order; a metric's panel has a row for each data set that it was measured on."""
    names = list(dict.fromkeys(c.metric for d in data for c in d.comparisons))
    rows_of_panels = [[(d, c) for d in data if (c := d.find(name)) and (c.base or c.tuned)] for name in names]
    return [_panel(rows, is_only_data=len(data) == 1) for rows in rows_of_panels if rows]


def _panel(rows: list[tuple[DataSet, Comparison]], *, is_only_data: bool) -> str:
    first = rows[0][1]
    direction = first.direction
    values = [end for _, c in rows for e in (c.base, c.tuned, c.majority) if e for end in e.ends]
    room = 0.05 * (max(values) - min(values)) or 0.1 * abs(values[0]) or 0.5
    low = max(min(values) - room, 0.0) if min(values) >= 0 else min(values) - room
    x = Scale(low, max(values) + room, LEFT, RIGHT)
    bottom = TITLE_HEIGHT + ROW_HEIGHT * len(rows)
    content = label(first.title + (f", {direction}" if direction and not is_only_data else ""), 0, 16, "panel-title")
    for value in ticks(x.low, x.high):
        content += element("line", class_="grid", x1=x(value), x2=x(value), y1=TITLE_HEIGHT + 22, y2=bottom)
        content += label(tick_text(value), x(value), bottom + 17, anchor="middle")
    for i, (data, c) in enumerate(rows):
        content += _row(direction if is_only_data else data.name, c, x, TITLE_HEIGHT + ROW_HEIGHT * i)
    told = "; ".join(f"{d.name}: {_told(c)}" for d, c in rows)
    return picture(content, WIDTH, bottom + AXIS_HEIGHT, f"{first.title}, base against tuned", f"{told}.")


def _row(name: str, c: Comparison, x: Scale, top: float) -> str:
    name = name if len(name) <= MOST_NAME_LETTERS else name[: MOST_NAME_LETTERS - 1] + "…"
    content = label(name, 0, top + 14, "row-label")
    values = " → ".join(fixed(e.value, c.decimals) for e in (c.base, c.tuned) if e)
    content += label(values, RIGHT + 8, top + 14, "row-value", "end")
    if c.majority:
        at = x(c.majority.value)
        content += element("line", class_="majority", x1=at, x2=at, y1=top + 22, y2=top + 46)
    content += whisker(c.base, x, top + 28, "base") + whisker(c.tuned, x, top + 39, "tuned")
    return content


def whisker(estimate: Estimate | None, x: Scale, y: float, kind: str) -> str:
    """A dot, hollow for the base and full for the tuned model, on its interval."""
    if estimate is None:
        return ""
    low, high = estimate.ends
    return _mark(kind, (x(low), y), (x(estimate.value), y), (x(high), y))


def upright(estimate: Estimate | None, x: float, y: Scale, kind: str) -> str:
    """As `whisker`, with the interval from low to high."""
    if estimate is None:
        return ""
    low, high = estimate.ends
    return _mark(kind, (x, y(low)), (x, y(estimate.value)), (x, y(high)))


def _mark(kind: str, low: tuple[float, float], value: tuple[float, float], high: tuple[float, float]) -> str:
    line = element("line", class_=f"{kind}-whisker", x1=low[0], x2=high[0], y1=low[1], y2=high[1])
    return line + element("circle", class_=f"{kind}-dot", cx=value[0], cy=value[1], r=4.2)


def _told(c: Comparison) -> str:
    named = (("base", c.base), ("tuned", c.tuned), (c.constant, c.majority))
    return ", ".join(f"{name} {e.text(c.decimals)}" for name, e in named if e)
