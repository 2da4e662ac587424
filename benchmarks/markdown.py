"""Tables and intervals as the documents have them."""

import math
from collections.abc import Sequence

from tunesmith.core.statistics import Interval

__all__ = ["NONE", "interval", "table"]

NONE = "–"
"""What stands for a value that there is none of."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def interval(found: Interval | None, *, signed: bool = False) -> str:
    """A value with its interval; `signed`: a difference."""
    if found is None:
        return NONE
    form = "{:+.4f}" if signed else "{:.4f}"
    if math.isnan(found.low):
        return f"{form.format(found.value)} (no interval)"
    return f"{form.format(found.value)} ({form.format(found.low)} to {form.format(found.high)})"
