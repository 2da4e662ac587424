"""Learning curves as small multiples: loss, validation metrics, gradient norm, learning rate, all over the same steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tunesmith.report.numbers import count, significant
from tunesmith.report.results import metric_title
from tunesmith.report.svg import Scale, element, label, level_lines, path, picture, thin_out, tick_text, ticks

__all__ = ["curve_panels", "smooth"]

WIDE, NARROW = 420, 310
"""Widths of a panel that stands beside one other, and of one that stands beside two: in both, text comes out at about its own size."""
HEIGHT = 230
LEFT, MARGIN, TOP, BOTTOM = 46, 10, 34, 200
LETTER = 6.5
"""Width of a letter of a label, about."""

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Plot:
    """What one panel shows, points as (step, value)."""

    title: str
    train: Points
    validation: Points
    is_chosen: bool = False
    """Whether the best weights were chosen by it."""


def smooth(values: Sequence[float], window: int) -> list[float]:
    """Centred moving mean over `window` values (made odd); at the ends over those of them that there are."""
    half = window // 2
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    ranges = ((max(0, i - half), min(len(values), i + half + 1)) for i in range(len(values)))
    return [(sums[end] - sums[start]) / (end - start) for start, end in ranges]


def curve_panels(curves: Mapping[str, Any], loss_unit: str = "nats", *, is_policy: bool = False) -> list[str]:
    """The panels that the curves of a report.json hold numbers for, each an SVG; empty where there are none.

    Args:
        is_policy: whether a policy learned from its own answers: what its rollouts and its validations say of the same is one panel, and the loss, which falls towards nothing, none.
    """
    train, validation = list(curves.get("train") or []), list(curves.get("validation") or [])
    best = curves.get("best") or {}
    names = [
        name
        for name in (validation[0] if validation else {})
        if name not in ("event", "step", "epoch", "loss", "loss_low", "loss_high", "seconds")
    ]
    chosen = best.get("metric")
    seen = [{**row, **(row.get("metrics") or {})} for row in train]  # what an objective tells of each step
    told = list(train[0].get("metrics") or {}) if train else []
    if is_policy:
        plots = [Plot(metric_title(name), _points(seen, name), _points(validation, name)) for name in names]
        plots += [Plot(f"{metric_title(name)}, training", _points(seen, name), []) for name in told if name not in names]
        return _panels(plots, train or validation, best)
    names = sorted(names, key=lambda name: name != chosen)[:1]  # one is enough: they move together, and the table holds them all
    plots = [
        Plot(f"loss, {loss_unit}" if loss_unit else "loss", _points(train, "loss"), _points(validation, "loss"), is_chosen=chosen == "loss")
    ]
    plots += [Plot(metric_title(name), [], _points(validation, name), is_chosen=name == chosen) for name in names]
    plots += [Plot(f"{metric_title(name)}, training", _points(seen, name), []) for name in told if name not in names]
    plots += [Plot(title, _points(train, key), []) for key, title in (("grad_norm", "gradient norm"), ("learning_rate", "learning rate"))]
    return _panels(plots, train or validation, best)


def _panels(plots: Sequence[Plot], rows: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> list[str]:
    """Those that have something to show."""
    shown = [plot for plot in plots if len(plot.train) > 1 or plot.validation]
    width = NARROW if len(shown) == 3 else WIDE
    return [_panel(plot, width, rows, best) for plot in shown]


def _points(rows: Sequence[Mapping[str, Any]], key: str) -> Points:
    return [(float(row["step"]), float(row[key])) for row in rows if row.get(key) is not None and row.get("step") is not None]


def _panel(plot: Plot, width: int, rows: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> str:
    """`train` drawn light, with its moving mean where it is noisy; `validation` as a line with a dot a measurement."""
    train, validation = plot.train, plot.validation
    last = max([x for x, _ in train + validation] + [float(row.get("step") or 0) for row in rows])
    values = [y for _, y in train + validation]
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    low = 0.0 if 0 <= low <= 0.35 * high else max(low - room, 0.0 if low >= 0 else low - room)
    x, y = Scale(0, last, LEFT, width - MARGIN), Scale(low, high + room, BOTTOM, TOP)
    content = _frame(plot.title, x, y) + _epochs(rows, x)
    is_noisy = len(train) > 20 and plot.title != "learning rate"
    content += path([(x(a), y(b)) for a, b in thin_out(train)], "raw" if is_noisy else "train")
    if is_noisy:
        mean = smooth([b for _, b in train], max(5, len(train) // 15))
        content += path([(x(a), y(b)) for a, b in thin_out([(a, m) for (a, _), m in zip(train, mean, strict=True)])], "train")
    content += path([(x(a), y(b)) for a, b in thin_out(validation)], "validation")
    content += "".join(element("circle", class_="validation-dot", cx=x(a), cy=y(b), r=2.6) for a, b in thin_out(validation, 80))
    at_best = next(((a, b) for a, b in validation if a == best.get("step")), None)
    if at_best:
        content += _mark_best(at_best, x, y, [train, validation] if plot.is_chosen else None)
    return picture(content, width, HEIGHT, f"{plot.title} by step", _described(train, validation, at_best))


def _frame(title: str, x: Scale, y: Scale) -> str:
    content = label(title, 0, 16, "panel-title") + level_lines(ticks(y.low, y.high), y, x.start, x.end, _tick)
    marks = [value for value in ticks(0, x.high, 4) if value == int(value)]
    for value in marks:
        near_end = x(value) > x.end - 14
        content += label(count(value), x.end if near_end else x(value), BOTTOM + 18, anchor="end" if near_end else "middle")
    return content + label(
        "step", (x.start + x.end) / 2 if len(marks) < 2 else (x(marks[0]) + x(marks[1])) / 2, BOTTOM + 18, "tick", "middle"
    )


def _tick(value: float) -> str:
    if value and abs(value) < 0.001:
        return significant(value, 2)
    return tick_text(round(value, 6))


def _epochs(rows: Sequence[Mapping[str, Any]], x: Scale) -> str:
    """A hairline where each epoch but the last ends, where there are few of them."""
    ends: dict[int, float] = {}
    for row in rows:
        if row.get("epoch") is not None and row.get("step") is not None:
            whole = int(float(row["epoch"]) + 1e-6)
            if whole:
                ends.setdefault(whole, float(row["step"]))
    inner = [(epoch, step) for epoch, step in ends.items() if step < x.high]
    if len(inner) > 12:
        return ""
    lines = (element("line", class_="epoch", x1=x(step), x2=x(step), y1=TOP, y2=BOTTOM) for _, step in inner)
    names = (label(f"epoch {epoch}", x(step) - 4, TOP + 4, "note", "end") for epoch, step in inner if len(inner) <= 4)
    return "".join(lines) + "".join(names)


def _mark_best(at: tuple[float, float], x: Scale, y: Scale, curves: Sequence[Points] | None) -> str:
    """A ring at the best validation; its value, where this panel's metric chose it and `curves` are given, where these are far from it."""
    left = x(at[0]) > (x.start + x.end) / 2
    content = element("line", class_="best", x1=x(at[0]), x2=x(at[0]), y1=TOP, y2=BOTTOM)
    content += element("circle", class_="best-ring", cx=x(at[0]), cy=y(at[1]), r=5.5)
    if curves is not None:
        text, start = f"best {significant(at[1])} at step {count(at[0])}", x(at[0]) + (-7 if left else 7)
        end = start + (-1 if left else 1) * LETTER * len(text)
        drawn = [(x(a), y(b)) for curve in curves for a, b in _between(curve, x, *sorted((start, end)))]
        heights = (TOP + 22, BOTTOM - 10, (TOP + BOTTOM) / 2)
        height = max(heights, key=lambda place: min((abs(place - 4 - at_y) for _, at_y in drawn), default=0.0))
        content += label(text, start, height, "best-label", "end" if left else "start")
    return content


def _between(curve: Points, x: Scale, start: float, end: float) -> Points:
    """Points of a curve, those that lie on its straight lines too, that are drawn between `start` and `end`."""
    points = thin_out(curve)
    found = [(a + (c - a) * part / 20, b + (d - b) * part / 20) for (a, b), (c, d) in pairwise(points) for part in range(21)]
    return [(a, b) for a, b in found or points if start <= x(a) <= end]


def _described(train: Points, validation: Points, best: tuple[float, float] | None) -> str:
    parts = []
    for name, points in (("Train", train), ("Validation", validation)):
        if points:
            parts.append(
                f"{name} from {significant(points[0][1])} at step {count(points[0][0])} to {significant(points[-1][1])} at step {count(points[-1][0])}."
            )
    if best:
        parts.append(f"Best validation at step {count(best[0])}: {significant(best[1])}.")
    return " ".join(parts)
