"""The axes of a run, for people: the table of both sides, and one picture in which further out is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tunesmith.report.numbers import MISSING, NARROW_SPACE, count, decimals_for, duration, fixed, size
from tunesmith.report.results import Estimate, metric_title
from tunesmith.report.svg import element, label, path, picture

__all__ = ["Axes", "axes_remark", "axes_title", "axis_rows", "read_axes"]

_WIDTH, _HEIGHT = 420, 330
_CENTRE_X, _CENTRE_Y, _RADIUS = 210, 165, 112
_RINGS = (0.25, 0.5, 0.75, 1.0)
_BEST_SCORE = {"accuracy": 1.0, "labels_jaccard": 1.0, "chrf": 100.0}
"""Of the scores that have a best value."""


def _short(seconds: float) -> str:
    """3.1 ms, 42 ms, 0.42 s."""
    return f"{1000 * seconds:.2g}{NARROW_SPACE}ms" if seconds < 0.0995 else duration(seconds)


_EFFICIENCY: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("time for a row", "seconds_per_row", _short),
    ("tokens of a row’s prompt", "prompt_tokens_per_row", partial(fixed, decimals=1)),
    ("tokens written for a row", "answer_tokens_per_row", partial(fixed, decimals=1)),
    ("peak memory", "peak_memory_bytes", size),
)
Side = Mapping[str, Any]
Spoke = tuple[str, float | None, float]
"""Name, base, tuned; from 0 to 1, the best."""


@dataclass(frozen=True, slots=True)
class Axes:
    """The part of a report."""

    title: str
    rows: tuple[tuple[str, str, str, str], ...]
    """Name, rows changed, base, tuned."""
    picture: str
    """SVG; empty where the score has no best value."""
    has_base: bool
    remark: str
    """On memory, where it was measured of both sides together."""


def read_axes(measured: Mapping[str, Any] | None) -> Axes | None:
    """Of axes.json; None where the run has none."""
    if not measured:
        return None
    picture = _picture(list(_spokes(measured)))
    return Axes(axes_title(measured), tuple(axis_rows(measured)), picture, bool(measured["base"]), axes_remark(measured))


def axes_title(measured: Mapping[str, Any]) -> str:
    """Metric and rows."""
    lower = "" if measured["higher_is_better"] else ", lower is better"
    return f"{metric_title(measured['metric'])} on {count(measured['rows'])} test rows{lower}"


def axes_remark(measured: Mapping[str, Any]) -> str:
    """The peak memory of the whole command, which is no side's own; empty where each side has one."""
    peak = measured.get("peak_memory_bytes")
    return f"Peak memory of the whole command, both sides: {size(peak)}." if peak else ""


def axis_rows(measured: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Name, rows changed, base, tuned."""
    base, tuned = measured["base"], measured["tuned"]
    yield ("as it is", "", *_pair(base and base["score"], tuned["score"]))
    for axis in ("robustness", "fairness"):
        for name in tuned[axis]["each"]:
            each = (base and base[axis]["each"][name], tuned[axis]["each"][name])
            yield (f"  {name.replace('_', ' ')}", count(measured["changed"][name]), *_pair(*each))
        yield (f"{axis}: the worst of these", "", *_pair(base and base[axis]["worst"], tuned[axis]["worst"]))
    if tuned.get("calibration"):
        yield ("calibration error (ECE, lower is better)", "", *_pair(base and base["calibration"], tuned["calibration"]))
    if tuned["toxic_share"]:
        yield ("answers with a toxic word", "", *_pair(base["toxic_share"], tuned["toxic_share"]))
        if tuned.get("classified_toxic_share"):
            name = f"answers that are toxic by {measured['toxicity_classifier']['name']}"
            yield (name, "", *_pair(base["classified_toxic_share"], tuned["classified_toxic_share"]))
        yield ("women among women and men", "", *_pair(base["share_of_women"], tuned["share_of_women"]))
    if tuned.get("cut"):
        yield ("answers cut before their end", "", _cut(base["cut"]), _cut(tuned["cut"]))
    for name, key, said in _EFFICIENCY:
        values = [side and side["efficiency"].get(key) for side in (base, tuned)]
        if any(values):  # a classifier writes no tokens
            first, second = (MISSING if value is None else said(value) for value in values)
            yield (name, "", first, second)


def _cut(cut: Mapping[str, int]) -> str:
    return f"{count(cut['num_cut'])} of {count(cut['answers'])}"


def _pair(base: Side | None, tuned: Side | None) -> tuple[str, str]:
    found = [Estimate.read(side) for side in (base, tuned)]
    decimals = decimals_for(*(one.ends for one in found if one))
    first, second = (one.text(decimals) if one else MISSING for one in found)
    return first, second


def _spokes(measured: Mapping[str, Any]) -> Iterator[Spoke]:
    """What can be said as a share of the best; nothing of a score that has no best value. A side's speed is the time of the quicker one over its own; a
    base that is asked zero-shot does other work.
    """
    best, sides = _BEST_SCORE.get(measured["metric"]), (measured["base"], measured["tuned"])
    if best is None:
        return

    def spoke(name: str, of: Any) -> Iterator[Spoke]:
        base, tuned = (None if side is None else of(side) for side in sides)
        if tuned is not None:
            yield name, base, tuned

    yield from spoke(metric_title(measured["metric"]), lambda side: side["score"]["value"] / best)
    for axis in ("robustness", "fairness"):
        yield from spoke(axis, lambda side, axis=axis: side[axis]["worst"]["value"] / best)
    if measured["tuned"].get("calibration"):
        yield from spoke("calibration", lambda side: 1 - side["calibration"]["value"])
    if measured["tuned"]["toxic_share"]:
        yield from spoke("no toxic word", lambda side: 1 - side["toxic_share"]["value"])
        if measured["tuned"].get("classified_toxic_share"):
            yield from spoke("not toxic", lambda side: 1 - side["classified_toxic_share"]["value"])
        yield from spoke("women as men", lambda side: _evenness(side["share_of_women"]["value"]))
    asked_alike = measured["base_asked"] == "as_it_is" if "base_asked" in measured else measured["kind"] != "classification"
    if measured["base"] and asked_alike:
        quicker = min(side["efficiency"]["seconds_per_row"] for side in sides)
        yield from spoke("speed", lambda side: quicker / side["efficiency"]["seconds_per_row"])


def _evenness(share: float | None) -> float | None:
    return None if share is None else 1 - abs(2 * share - 1)


def _picture(spokes: list[Spoke]) -> str:
    if not spokes:
        return ""

    def at(place: int, value: float) -> tuple[float, float]:
        angle = 2 * math.pi * place / len(spokes)
        reach = _RADIUS * min(max(value, 0.0), 1.0)
        return _CENTRE_X + reach * math.sin(angle), _CENTRE_Y - reach * math.cos(angle)

    def closed(values: list[float], kind: str) -> str:
        return path([at(place % len(spokes), values[place % len(spokes)]) for place in range(len(spokes) + 1)], kind)

    content = "".join(closed([ring] * len(spokes), "grid ring") for ring in _RINGS)
    for place, (name, _, _) in enumerate(spokes):
        (x, y), (end_x, end_y) = at(place, 1.0), (at(place, 1.0)[0] - _CENTRE_X, at(place, 1.0)[1] - _CENTRE_Y)
        content += element("line", class_="grid", x1=_CENTRE_X, y1=_CENTRE_Y, x2=x, y2=y)
        anchor = "middle" if abs(end_x) < 1 else "start" if end_x > 0 else "end"
        content += label(name, x + end_x * 0.08, y + end_y * 0.12 + 4, "row-label", anchor)
    for side, values in (("base", [base for _, base, _ in spokes]), ("tuned", [tuned for _, _, tuned in spokes])):
        known = [value for value in values if value is not None]
        content += closed(known, f"{side}-area") if len(known) == len(spokes) else ""
        for place, value in enumerate(values):
            if value is not None:
                x, y = at(place, value)
                content += element("circle", class_=f"{side}-dot", cx=x, cy=y, r=3.6)
    told = "; ".join(f"{name}: {'' if base is None else f'base {base:.2f}, '}tuned {tuned:.2f}" for name, base, tuned in spokes)
    return picture(content, _WIDTH, _HEIGHT, "Axes, each from 0 in the centre to 1, the best", f"{told}.")
