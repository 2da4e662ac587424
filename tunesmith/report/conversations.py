"""How base and tuned model hold a conversation together, for people: tables, and a picture of the facts that were found again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.report.intervals import upright
from tunesmith.report.numbers import count, fixed, percent
from tunesmith.report.results import Comparison, read_comparison
from tunesmith.report.svg import Scale, element, label, picture

__all__ = ["Conversations", "Part", "read_conversations"]

_WIDTH, _HEIGHT = 420, 236
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 410, 34, 200
_APART = 5.0
"""Of the two sides of a place from its middle."""


@dataclass(frozen=True, slots=True)
class Part:
    """One table."""

    title: str
    metric: str
    rows: tuple[tuple[str, Comparison], ...]


@dataclass(frozen=True, slots=True)
class Conversations:
    """The part of a report."""

    parts: tuple[Part, ...]
    panels: tuple[str, ...]
    """SVG."""
    left_out: tuple[str, ...]


def read_conversations(measured: Mapping[str, Any] | None) -> Conversations | None:
    """Of conversations.json; None where the run has none."""
    if not measured:
        return None
    facts = f"{count(measured['facts'])} facts"
    deep = f"Facts by their place in {count(measured['context_tokens'])} tokens"
    turns = _part("Answers of the test conversations", "bits_per_byte", measured["by_turn"], lambda line: f"answer {line['turn']}")
    back = _part("Facts by the turns since they were stated", "share found", measured["by_distance"], _distance)
    depth = _part(deep, "share found", measured["by_depth"], lambda line: f"{percent(line['depth'])} deep")
    panels = [
        _panel(f"{title}, {facts}", part) for title, part in (("turns since the fact", back), ("depth of the fact", depth)) if part.rows
    ]
    return Conversations(tuple(part for part in (turns, back, depth) if part.rows), tuple(panels), tuple(measured["left_out"]))


def _part(title: str, metric: str, lines: Sequence[Mapping[str, Any]], name: Any) -> Part:
    return Part(title, metric, tuple((name(line), read_comparison(metric, line)) for line in lines))


def _distance(line: Mapping[str, Any]) -> str:
    back = line["turns_back"]
    return "never stated" if back is None else "the turn before" if back == 0 else f"{back} turn{'s' if back > 1 else ''} between"


def _panel(title: str, part: Part) -> str:
    """Base and tuned side by side at each place."""
    y = Scale(0.0, 1.0, _BOTTOM, _TOP)
    width = (_RIGHT - _LEFT) / len(part.rows)
    content = label(title, 0, 16, "panel-title")
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        content += element("line", class_="grid", x1=_LEFT, x2=_RIGHT, y1=y(tick), y2=y(tick))
        content += label(f"{tick:g}", _LEFT - 8, y(tick) + 4, anchor="end")
    for place, (name, comparison) in enumerate(part.rows):
        middle = _LEFT + (place + 0.5) * width
        content += label(_short(name), middle, _BOTTOM + 18, anchor="middle")
        for side, estimate, x in (("base", comparison.base, middle - _APART), ("tuned", comparison.tuned, middle + _APART)):
            content += upright(estimate, x, y, side)
    told = "; ".join(
        f"{name}: base {fixed(c.base.value, 2) if c.base else '–'}, tuned {fixed(c.tuned.value, 2) if c.tuned else '–'}"
        for name, c in part.rows
    )
    return picture(content, _WIDTH, _HEIGHT, f"Share of facts that were found, by {title}", f"{told}.")


def _short(name: str) -> str:
    return {"never stated": "never", "the turn before": "0"}.get(name, name.split(maxsplit=1)[0])
