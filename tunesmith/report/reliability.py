"""Reliability: the share of right answers against how sure the model was, base beside tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.report.intervals import upright
from tunesmith.report.numbers import count, fixed
from tunesmith.report.results import Estimate
from tunesmith.report.svg import Scale, element, label, level_lines, picture, tick_text

__all__ = ["reliability_panels"]

WIDTH, HEIGHT = 420, 386
LEFT, RIGHT, TOP, BOTTOM = 40, 410, 34, 270
BARS_TOP, BARS_BOTTOM = 312, 358
Bins = Sequence[Mapping[str, Any]]


def reliability_panels(sides: Mapping[str, Bins]) -> list[str]:
    """A panel for each of `base` and `tuned` of which report.json's `reliability` holds bins, on the same scales."""
    most = max((one["rows"] for bins in sides.values() for one in bins or ()), default=0)
    return [_panel(side, sides[side], most) for side in ("base", "tuned") if sides.get(side)]


def _panel(side: str, bins: Bins, most_rows: int) -> str:
    x, y = Scale(0.0, 1.0, LEFT, RIGHT), Scale(0.0, 1.0, BOTTOM, TOP)
    content = label(f"{side}, {count(sum(one['rows'] for one in bins))} rows", 0, 16, "panel-title")
    shares = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    content += level_lines(shares, y, LEFT, RIGHT)
    content += "".join(label(tick_text(share), x(share), BOTTOM + 18, anchor="middle") for share in shares)
    content += element("line", class_="majority", x1=x(0), x2=x(1), y1=y(0), y2=y(1))
    content += label("share right", LEFT + 6, TOP + 12) + label("probability of what was said", RIGHT, BARS_BOTTOM + 20, anchor="end")
    heights = Scale(0.0, most_rows, 0.0, BARS_BOTTOM - BARS_TOP)
    content += element("line", class_="grid", x1=LEFT, x2=RIGHT, y1=BARS_BOTTOM, y2=BARS_BOTTOM)
    for one in bins:
        content += _bin(side, one, x, y, heights)
    told = "; ".join(f"sure {fixed(one['sure'], 2)}, right {fixed(one['right']['value'], 2)}, {count(one['rows'])} rows" for one in bins)
    return picture(content, WIDTH, HEIGHT, f"Reliability, {side}", told)


def _bin(side: str, one: Mapping[str, Any], x: Scale, y: Scale, heights: Scale) -> str:
    """A dot on its interval, and the bar of its rows below."""
    begin, width = x(one["low"]), x(one["high"]) - x(one["low"])
    height = max(1.0, heights(one["rows"]))
    return (
        upright(Estimate.read(one["right"]), x(one["sure"]), y, side)
        + element("rect", class_=f"{side}-bar", x=begin + 3, y=BARS_BOTTOM - height, width=width - 6, height=height)
        + label(count(one["rows"]), begin + width / 2, BARS_BOTTOM - height - 4, "note", "middle")
    )
