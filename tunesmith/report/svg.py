"""Small pure functions that draw: elements, scales, ticks, paths. Colours are CSS classes, so that a page can be light, dark or printed."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Scale", "apart", "element", "label", "level_lines", "path", "picture", "thin_out", "tick_text", "ticks"]


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map of data, `low` to `high`, onto drawing units, `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where `value` is drawn. A scale of no width draws everything in its middle."""
        if self.high == self.low:
            return (self.start + self.end) / 2
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def element(tag: str, content: str = "", **attributes: str | float) -> str:
    """An SVG element. `content` is markup; attributes are escaped, `class_` and `text_anchor` become `class` and `text-anchor`."""
    written = "".join(f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"' for name, value in attributes.items())
    return f"<{tag}{written}>{content}</{tag}>" if content else f"<{tag}{written}/>"


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def label(text: str, x: float, y: float, kind: str = "tick", anchor: str = "start") -> str:
    """Text, escaped, its baseline at (x, y)."""
    return element("text", escape(text), class_=kind, x=x, y=y, text_anchor=anchor)


def picture(content: str, width: float, height: float, title: str, description: str) -> str:
    """A whole SVG that scales with its column; title and description are what a screen reader says."""
    named = element("title", escape(title)) + element("desc", escape(description))
    box = f"0 0 {width:g} {height:g}"
    return f'<svg viewBox="{box}" role="img" aria-label="{escape(f"{title}. {description}")}" preserveAspectRatio="xMinYMin meet">{named}{content}</svg>'


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers (1, 2, 2.5, 5 times a power of ten) inside low..high, about `wanted` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, wanted)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def tick_text(value: float) -> str:
    """A number on a scale, with a real minus sign."""
    return f"{value:g}".replace("-", "\u2212")


def level_lines(values: Sequence[float], y: Scale, left: float, right: float, text: Callable[[float], str] = tick_text) -> str:
    """A line from left to right at each value, which stands before it."""
    return "".join(
        element("line", class_="grid", x1=left, x2=right, y1=y(value), y2=y(value))
        + label(text(value), left - 8, y(value) + 4, anchor="end")
        for value in values
    )


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """A polyline through `points`, in drawing units; nothing where there are fewer than two."""
    if len(points) < 2:
        return ""
    # tenths of a unit keep a curve of hundreds of points within a few kilobytes
    steps = "L".join(f"{x:.1f} {y:.1f}".replace(".0 ", " ").removesuffix(".0") for x, y in points)
    return element("path", class_=kind, d=f"M{steps}")


def apart(heights: Mapping[str, float], least: float = 13.0) -> dict[str, float]:
    """The heights of labels, moved down where one would lie on another, and all of them up by half of what the lowest was moved."""
    placed, below, moved = dict[str, float](), -math.inf, 0.0
    for name in sorted(heights, key=heights.__getitem__):
        below = max(heights[name], below + least)
        moved = max(moved, below - heights[name])
        placed[name] = below
    return {name: height - moved / 2 for name, height in placed.items()}


def thin_out(points: Sequence[tuple[float, float]], most: int = 240) -> list[tuple[float, float]]:
    """At most `most` points that look the same: of each stretch the lowest and the highest, in order."""
    if len(points) <= most:
        return list(points)
    stretches = max(1, most // 2)
    kept: list[tuple[float, float]] = []
    for i in range(stretches):
        part = points[i * len(points) // stretches : (i + 1) * len(points) // stretches]
        low, high = min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])
        kept += sorted({low, high})
    return kept
