"""What a run forgot, for people: a sentence, and one picture in which what was gained stands beside what was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunesmith.report.numbers import fixed, listed, signed
from tunesmith.report.results import Comparison, DataSet, Estimate, comparisons, read_comparison
from tunesmith.report.svg import Scale, element, label, picture, ticks

__all__ = ["Forgetting", "forgetting"]

_WIDTH, _LEFT, _RIGHT = 420, 8, 412
_TOP, _ROW, _AXIS = 8, 46, 44
_MOST_NAME_LETTERS = 44
_MOST_PERCENT = 200.0
"""Of the picture: what lies beyond stands at its edge, so that the others can be told apart."""

Kind = Literal["gain", "loss", "unclear"]


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The part of a report."""

    tasks: tuple[DataSet, ...]
    """Each with one comparison, whose p is Holm's."""
    fell: tuple[str, ...]
    sentences: tuple[str, ...]
    target: DataSet | None
    """What the run was to learn."""
    advice: tuple[tuple[str, str], ...]
    """Text and command."""
    left_out: tuple[tuple[str, str], ...]
    """What was not measured, and why."""

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(self.sentences)

    @property
    def picture(self) -> str:
        """SVG, drawn when it is asked for; empty where nothing was measured."""
        return _picture(self.target, self.tasks, self.fell) if self.tasks else ""


def forgetting(report: Mapping[str, Any]) -> Forgetting | None:
    """What report.json says of it; None where it says nothing: reports of older versions, and those of runs that were told not to measure."""
    found, measured = report.get("forgetting"), report.get("retention") or {}
    if not found or (not measured and not found.get("left_out")):
        return None
    tasks = tuple(
        DataSet(name, False, entry.get("rows"), (read_comparison(str(entry.get("metric")), entry),)) for name, entry in measured.items()
    )
    fell, left_out = tuple(found.get("fell") or ()), dict(found.get("left_out") or {})
    return Forgetting(
        tasks,
        fell,
        tuple(_sentences(tasks, fell, keeps_base=bool(found.get("keeps_base")), why_not=left_out.pop("all", ""))),
        next((data for data in comparisons(report) if data.is_own), None),
        tuple((one["text"], one["command"]) for one in found.get("advice") or ()),
        tuple(left_out.items()),
    )


def _sentences(tasks: Sequence[DataSet], fell: Sequence[str], *, keeps_base: bool, why_not: str) -> list[str]:
    if not tasks:
        return [f"What it forgot was not measured: {why_not}" if why_not else "What it forgot was not measured."]
    lost = [_moved(data) for data in tasks if data.name in fell]
    others = [_unmoved(data) for data in tasks if data.name not in fell]
    if not lost:
        return [f"No significant loss on {listed(others)}, by which forgetting was measured."]
    said = [f"It forgot: {'; '.join(lost)}."]
    if others:
        said.append(f"No significant loss on {listed(others)}.")
    if keeps_base:
        said.append("The base's own weights are as they were: without what was trained the model has forgotten nothing.")
    return said


def _unmoved(data: DataSet) -> str:
    """`editorials (bits per byte: a loss of 0.05 can be seen)`."""
    c = data.comparisons[0]
    return data.name if c.detectable is None else f"{data.name} ({c.title}: a loss of {c.detectable_text} can be seen)"


def _moved(data: DataSet) -> str:
    """`bits per byte on editorials rose from 1.10 to 1.32 (+20 %)`."""
    c = data.comparisons[0]
    assert c.base is not None
    assert c.tuned is not None
    verb = "rose" if c.tuned.value > c.base.value else "fell"
    share = f" ({signed(100 * (c.tuned.value - c.base.value) / abs(c.base.value), 0)}\u202f%)" if c.base.value else ""
    return f"{c.title} on {data.name} {verb} from {fixed(c.base.value, c.decimals)} to {fixed(c.tuned.value, c.decimals)}{share}"


def _picture(target: DataSet | None, tasks: Sequence[DataSet], fell: Sequence[str]) -> str:
    """Each change in percent of the base's value, to the right where the model got better."""
    rows = list[tuple[str, Comparison, Estimate, Kind]]()
    for data in (*((target,) if target else ()), *tasks):
        c = data.comparisons[0]
        change = _in_percent(c)
        if change is not None:
            name = f"learned: {data.name}" if data.is_own else data.name
            is_loss = c.verdict == "worse" if data.is_own else data.name in fell
            rows.append((f"{name}, {c.title}", c, change, "loss" if is_loss else "gain" if c.verdict == "better" else "unclear"))
    if not rows:
        return ""
    ends = [end for _, _, change, _ in rows for end in change.ends]
    room = 0.06 * (max(*ends, 0.0) - min(*ends, 0.0)) or 1.0
    x = Scale(max(min(*ends, 0.0) - room, -_MOST_PERCENT), min(max(*ends, 0.0) + room, _MOST_PERCENT), _LEFT, _RIGHT)
    bottom = _TOP + _ROW * len(rows)
    content = "".join(_tick(value, x, bottom) for value in ticks(x.low, x.high, 5))
    content += element("line", class_="majority", x1=x(0), x2=x(0), y1=_TOP, y2=bottom)
    content += label("← worse", 0, bottom + 36) + label("better →", _RIGHT, bottom + 36, anchor="end")
    for place, row in enumerate(rows):
        content += _drawn(*row, x, _TOP + _ROW * place)
    told = "; ".join(f"{name}: {change.change_text(1)} %" for name, _, change, _ in rows)
    return picture(content, _WIDTH, bottom + _AXIS, "What was gained and what was lost, in percent of the base's value", f"{told}.")


def _tick(value: float, x: Scale, bottom: float) -> str:
    line = element("line", class_="grid", x1=x(value), x2=x(value), y1=_TOP, y2=bottom)
    return line + label(f"{value:+g}\u202f%".replace("-", "\u2212") if value else "0", x(value), bottom + 17, anchor="middle")


def _drawn(name: str, c: Comparison, change: Estimate, kind: Kind, x: Scale, top: float) -> str:
    name = name if len(name) <= _MOST_NAME_LETTERS else name[: _MOST_NAME_LETTERS - 1] + "…"
    content = label(name, 0, top + 15, "row-label halo")
    values = " → ".join(fixed(e.value, c.decimals) for e in (c.base, c.tuned) if e)
    content += label(values, _RIGHT, top + 15, "row-value halo", "end")
    low, value, high = (min(max(number, x.low), x.high) for number in (change.ends[0], change.value, change.ends[1]))
    content += element("line", class_=f"{kind}-whisker", x1=x(low), x2=x(high), y1=top + 30, y2=top + 30)
    content += element("circle", class_=f"{kind}-dot", cx=x(value), cy=top + 30, r=4.6)
    if value != change.value:
        content += label(
            "far more →" if change.value > value else "← far more",
            x(value) + (-9 if change.value > value else 9),
            top + 34,
            "note halo",
            "end" if change.value > value else "start",
        )
    return content


def _in_percent(c: Comparison) -> Estimate | None:
    """The difference in percent of the base's value, positive where it is better; None where there is no base, or it is zero."""
    if c.base is None or c.difference is None or not c.base.value:
        return None
    unit = (100 if c.higher_is_better else -100) / abs(c.base.value)
    low, high = sorted(unit * end for end in c.difference.ends)
    return Estimate(unit * c.difference.value, low, high)
