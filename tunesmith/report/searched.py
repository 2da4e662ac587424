"""What was tried of a comparison's arms on parts of the training rows, and what more rows would give: in words, as a table and as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.report.intervals import upright
from tunesmith.report.numbers import compact, count, decimals_for, fixed, listed, percent
from tunesmith.report.results import Estimate, metric_title
from tunesmith.report.svg import Scale, apart, label, level_lines, path, picture, ticks

__all__ = ["Tried", "curves_panel", "outlook_sentences", "read_tried"]

_WIDTH, _LEFT, _TOP, _BOTTOM, _HEIGHT, _NAMES = 560, 52, 34, 206, 248, 90
_SURE = 0.95
"""The share of resamples that an order has to hold in to be called certain."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting, for a table."""

    arm: str
    setting: str
    values: tuple[str, ...]
    """Its validation value on each part of the rows, an empty text where it was not tried on that."""
    is_taken: bool


def read_tried(document: Mapping[str, Any]) -> tuple[list[float], list[Tried]]:
    """The parts of the rows, rising, and every setting that was tried, arm by arm."""
    found = document.get("search") or {}
    parts = sorted({one["fraction"] for arm in found.values() for one in arm["tried"]})
    rows = list[Tried]()
    for name, arm in found.items():
        values = dict[tuple[str, ...], dict[float, str]]()
        for one in arm["tried"]:
            values.setdefault(tuple(one["changes"]), {})[one["fraction"]] = "diverged" if one["loss"] is None else f"{one['value']:.3f}"
        for changes, told in sorted(values.items(), key=lambda pair: [_number(change) for change in pair[0]]):
            rows.append(Tried(name, " ".join(changes), tuple(told.get(part, "") for part in parts), list(changes) == arm["changes"]))
    return parts, rows


def _number(change: str) -> tuple[float, str]:
    """Settings that are numbers stand in their order, others in that of their names behind them."""
    value = change.partition("=")[2]
    try:
        return float(value), ""
    except ValueError:
        return math.inf, value


def outlook_sentences(document: Mapping[str, Any]) -> Iterator[str]:
    """What three times the rows would give, and whether the order of the arms would stay."""
    outlook = document.get("outlook")
    if not outlook:
        return
    arms, title = outlook["arms"], metric_title(outlook["metric"])
    sign = 1.0 if outlook["higher_is_better"] else -1.0
    order = sorted(arms, key=lambda name: -sign * arms[name]["expected"]["value"])
    told = {name: Estimate.read(arms[name]["expected"]) for name in order}
    places = decimals_for(*(one.ends for one in told.values() if one))
    at = count(max(arm["at_rows"] for arm in arms.values()))
    said = listed([f"{name} {one.text(places)}" for name, one in told.items() if one])
    yield f"By the learning curves of the validation rows, {at} training rows would give {title} {said}."
    now = max(arms, key=lambda name: sign * arms[name]["values"][-1])
    if len(arms) < 2:
        return
    share = arms[order[0]]["leads"]
    if share < _SURE:
        yield f"Which of them would lead is not certain ({order[0]} does in {percent(share)} of the resamples)."
    elif order[0] == now:
        yield f"{now} leads now, and still would."
    else:
        yield f"{now} leads now, and {order[0]} would then."


def curves_panel(document: Mapping[str, Any]) -> str:
    """Each arm's validation value against its training rows, on a logarithmic scale, and what is expected of more; empty where there is no curve."""
    outlook = document.get("outlook")
    if not outlook:
        return ""
    arms = outlook["arms"]
    sizes = sorted({rows for arm in arms.values() for rows in (*arm["rows"], arm["at_rows"])})
    expected = {name: Estimate.read(arm["expected"]) for name, arm in arms.items()}
    ends = [value for arm in arms.values() for value in arm["values"]] + [end for one in expected.values() if one for end in one.ends]
    margin = 0.07 * (max(ends) - min(ends)) or 0.1
    x = Scale(math.log(sizes[0]), math.log(sizes[-1]), _LEFT + 16, _WIDTH - _NAMES)
    y = Scale(min(ends) - margin, max(ends) + margin, _BOTTOM, _TOP)
    title = f"validation {metric_title(outlook['metric'])} by training rows"
    content = label(title, 0, 16, "panel-title") + level_lines(ticks(y.low, y.high), y, _LEFT, _WIDTH - _NAMES)
    names = apart({name: y(one.value) for name, one in expected.items() if one})
    for name, arm in arms.items():
        one = expected[name]
        points = [(x(math.log(rows)), y(value)) for rows, value in zip(arm["rows"], arm["values"], strict=True)]
        content += path(points, "validation")
        if one:
            at = x(math.log(arm["at_rows"]))
            content += path([points[-1], (at, y(one.value))], "majority") + upright(one, at, y, "unclear")
            content += label(name, at + 10, names[name] + 4, "note")
    for rows in sizes:
        content += label(compact(rows), x(math.log(rows)), _BOTTOM + 18, anchor="middle")
    content += label("training rows, logarithmic; the last is drawn out", (x.start + x.end) / 2, _BOTTOM + 36, anchor="middle")
    said = "; ".join(f"{name}: {', '.join(fixed(value, 3) for value in arm['values'])}" for name, arm in arms.items())
    return picture(content, _WIDTH, _HEIGHT, title, f"{said}.")
