"""Tables and intervals as the documents have them."""

import math
from collections.abc import Sequence

from benchmarks.workload import BenchmarkError
from tunesmith.core.statistics import Interval

__all__ = ["NONE", "between", "interval", "table"]

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


def between(text: str, marks: tuple[str, str], lines: Sequence[str], missing: str) -> str:
    """A page with these lines between its two marks. Raises: BenchmarkError, which says `missing`, where it has none."""
    first, last = marks
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise BenchmarkError(f"{missing}: {first} and {last}.")
    return "\n".join([f"{before}{first}", "", *lines, f"{last}{after}"])
