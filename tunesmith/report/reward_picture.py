"""Reward against distance: what each stage of a chain gained, and how far it went for it.

Source: figure 2 of Rafailov et al. (2023), https://arxiv.org/abs/2305.18290.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.report.group_page import room
from tunesmith.report.intervals import upright
from tunesmith.report.results import Estimate, metric_title
from tunesmith.report.svg import Scale, apart, element, label, level_lines, path, picture, tick_text, ticks

__all__ = ["reward_panels"]

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 290, 52, 452, 34, 246


@dataclass(frozen=True, slots=True)
class _Point:
    """A stage of a chain."""

    name: str
    kl: Estimate
    reward: Estimate
    way: tuple[tuple[float, float], ...]
    """Distance and reward at its validations."""


def reward_panels(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """One SVG for what the stages were trained by, one for the judges that they never saw: of chains (group.json) of the same stages, each with its own seed.

    Empty where fewer than two stages were measured by rewards.
    """
    return [panel for name in ("held_out_reward", "reward") if (panel := _panel(documents, name))]


def _panel(documents: Sequence[Mapping[str, Any]], metric: str) -> str:
    chains = [[point for name, stage in one["stages"].items() if (point := _point(name, stage, metric))] for one in documents]
    points = [point for chain in chains for point in chain]
    if len({point.name for point in points}) < 2:
        return ""
    starts = [start for one in documents if (start := _start(one, metric))]
    xs = [point.kl.value for point in points] + [at for point in points for at, _ in point.way] + [0.0]
    ys = [end for one in (*(p.reward for p in points), *starts) for end in one.ends] + [at for point in points for _, at in point.way]
    x, y = Scale(min(xs), max(xs) * 1.02 or 1.0, _LEFT + 10, _RIGHT - 44), Scale(*room(ys), _BOTTOM, _TOP)
    title = metric_title(metric)
    content = label(f"{title} by distance", 0, 16, "panel-title") + level_lines(ticks(y.low, y.high), y, _LEFT, _RIGHT)
    for value in ticks(x.low, x.high):
        content += label(tick_text(value), x(value), _BOTTOM + 18, anchor="middle")
    content += label("nats an answer from the model before", (x.start + x.end) / 2, _BOTTOM + 36, anchor="middle")
    for start in starts:
        content += upright(start, x(0.0), y, "base")
    for point in points:
        content += path([(x(at), y(reward)) for at, reward in point.way], "raw")
        content += "".join(element("circle", class_="validation-dot", cx=x(at), cy=y(reward), r=1.6) for at, reward in point.way)
    content += "".join(upright(point.reward, x(point.kl.value), y, "tuned") for point in points)
    named = {point.name: point for point in reversed(points)}
    heights = apart({name: y(point.reward.value) - 6 for name, point in named.items()})
    content += "".join(label(name, x(point.kl.value) + 8, heights[name], "best-label") for name, point in named.items())
    told = "; ".join(f"{point.name}: {point.reward.text(3)} at {point.kl.value:.2f} nats" for point in points)
    return picture(content, _WIDTH, _HEIGHT, f"{title} by distance from the model before", f"{told}.")


def _point(name: str, stage: Mapping[str, Any], metric: str) -> _Point | None:
    kl, reward = (Estimate.read((stage["metrics"].get(one) or {}).get("tuned")) for one in ("kl", metric))
    if kl is None or reward is None:
        return None
    way = tuple((one["kl"], one[metric]) for one in stage.get("validations", ()) if "kl" in one and metric in one)
    return _Point(name, kl, reward, way)


def _start(document: Mapping[str, Any], metric: str) -> Estimate | None:
    """What the model before got: all stages begin with it."""
    found = ((stage["metrics"].get(metric) or {}).get("base") for stage in document["stages"].values())
    return next((Estimate.read(one) for one in found if one), None)
