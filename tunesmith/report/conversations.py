"""How base and tuned model hold a conversation together, for people: tables, and a picture of the facts that were found again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tunesmith.report.intervals import upright
from tunesmith.report.numbers import count, fixed, percent
from tunesmith.report.results import Comparison, read_comparison
from tunesmith.report.svg import Scale, label, level_lines, picture

__all__ = ["Conversations", "Part", "read_conversations"]

_WIDTH, _HEIGHT = 420, 236
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 410, 34, 200
_APART = 5.0
"""Of the two sides of a place from its middle."""


class Line(NamedTuple):
    """A line of a table, and a place of a picture."""

    name: str
    mark: str
    """The name in the picture."""
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Part:
    """One table."""

    title: str
    metric: str
    rows: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Conversations:
    """The part of a report."""

    parts: tuple[Part, ...]
    panels: tuple[str, ...]
    """SVG."""
    cut: str
    """How many answers had not come to their end; empty where all had."""
    left_out: tuple[str, ...]


def read_conversations(measured: Mapping[str, Any] | None) -> Conversations | None:
    """Of conversations.json; None where the run has none."""
    if not measured:
        return None
    facts = f"{count(measured['facts'])} facts"
    deep = f"Facts by their place in {count(measured['context_tokens'])} tokens"
    turns = _part("Answers of the test conversations", "bits_per_byte", measured["by_turn"], _turn)
    back = _part("Facts by the turns since they were stated", "share found", measured["by_distance"], _distance)
    depth = _part(deep, "share found", measured["by_depth"], _depth)
    panels = [
        _panel(f"{title}, {facts}", part) for title, part in (("turns since the fact", back), ("depth of the fact", depth)) if part.rows
    ]
    return Conversations(
        tuple(part for part in (turns, back, depth) if part.rows), tuple(panels), _cut(measured.get("cut")), tuple(measured["left_out"])
    )


def _cut(cut: Mapping[str, Any] | None) -> str:
    if not cut or not (cut["base"] or cut["tuned"]):
        return ""
    return (
        f"Of {count(cut['answers'])} answers about facts, {count(cut['base'])} of the base and {count(cut['tuned'])} of the tuned model "
        f"were cut at {cut['max_new_tokens']} tokens: what they would have said behind those does not count."
    )


def _part(title: str, metric: str, lines: Sequence[Mapping[str, Any]], named: Callable[[Mapping[str, Any]], tuple[str, str]]) -> Part:
    return Part(title, metric, tuple(Line(*named(line), read_comparison(metric, line)) for line in lines))


def _turn(line: Mapping[str, Any]) -> tuple[str, str]:
    return f"answer {line['turn']}", str(line["turn"])


def _distance(line: Mapping[str, Any]) -> tuple[str, str]:
    back = line["turns_back"]
    if back is None:
        return "never stated", "never"
    return "the turn before" if back == 0 else f"{back} turn{'s' if back > 1 else ''} between", str(back)


def _depth(line: Mapping[str, Any]) -> tuple[str, str]:
    return f"{percent(line['depth'])} deep", f"{100 * line['depth']:g}"


def _panel(title: str, part: Part) -> str:
    """Base and tuned side by side at each place."""
    y = Scale(0.0, 1.0, _BOTTOM, _TOP)
    width = (_RIGHT - _LEFT) / len(part.rows)
    content = label(title, 0, 16, "panel-title") + level_lines((0.0, 0.25, 0.5, 0.75, 1.0), y, _LEFT, _RIGHT)
    for place, (_, mark, comparison) in enumerate(part.rows):
        middle = _LEFT + (place + 0.5) * width
        content += label(mark, middle, _BOTTOM + 18, anchor="middle")
        content += upright(comparison.base, middle - _APART, y, "base") + upright(comparison.tuned, middle + _APART, y, "tuned")
    told = "; ".join(
        f"{name}: base {fixed(c.base.value, 2) if c.base else '–'}, tuned {fixed(c.tuned.value, 2) if c.tuned else '–'}"
        for name, _, c in part.rows
    )
    return picture(content, _WIDTH, _HEIGHT, f"Share of facts that were found, by {title}", f"{told}.")
