"""What `tunesmith runs compare` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tunesmith.cli.output import console
from tunesmith.cli.tables import first_that_fits, in_lines, make_table
from tunesmith.report.compared import ComparedMetric, compare_sentences, cost_text, letters, read_compared, shown
from tunesmith.report.numbers import MINUS, MISSING, count, significant

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["print_compared"]

_MOST_CHARACTERS = 200
"""Of a text beside others."""
_LEAST = 12
"""Characters that a value of a recipe has in any case."""
_GAP = 3
"""Between two columns."""


def print_compared(document: Mapping[str, Any]) -> None:
    """The runs, their metrics with regressions first, rows that they answered otherwise, what their recipes and costs have apart, and what it says."""
    out, names = console(), letters(document)
    for name, run in zip(names, document["runs"], strict=True):
        out.print(f"{name}  {run['directory']}", style="bold")
    out.print()
    out.print(_metrics_table(document, names, out.width))
    if document["recipe"]:
        out.print(
            _values_table(
                "recipe", names, {key: [shown(value) for value in values] for key, values in document["recipe"].items()}, out.width
            )
        )
    out.print(
        _values_table(
            "cost", names, {_words(key): [cost_text(key, one) for one in values] for key, values in document["cost"].items()}, out.width
        )
    )
    for row in document["rows"]:
        out.print()
        out.print(f"{row['row']}", style="bold")
        if row["text"]:
            out.print(_cut(row["text"]))
        out.print(f"  right: {_cut(row['reference'])}")
        for name, said, score in zip(names, row["said"], row["scores"], strict=True):
            out.print(f"  {name}: {_cut(shown(said))}" + ("" if score is None else f" ({significant(score)})"))
    out.print()
    out.print(" ".join(compare_sentences(document)), soft_wrap=False)
    if document["num_differing"]:
        more = "" if document["rows"] else " (--rows 10 shows ten of them)"
        out.print(f"{count(document['num_differing'])} test rows were answered otherwise{more}.")
    for remark in document["remarks"]:
        out.print(f"note: {remark}", style="yellow")


def _metrics_table(document: Mapping[str, Any], names: list[str], width: int) -> Table:
    """Runs side by side; where `width` columns do not hold that, intervals stand below their values; where they do not hold that either, runs stand below each other."""
    found = read_compared(document)
    layouts = ((layout, is_high) for layout in (_beside, _below) for is_high in (False, True))
    return first_that_fits((layout(found, names, is_high) for layout, is_high in layouts), width)


def _beside(found: Sequence[ComparedMetric], names: list[str], is_high: bool) -> Table:
    others = [column for name in names[1:] for column in (f"{name} {MINUS} A", _seen(is_high), "p (Holm)")]
    table = make_table("data", "metric", *names, *others, numbers_from=2)
    for metric in found:
        cells = [cell for at in range(len(names) - 1) for cell in _change(metric, at)]
        table.add_row(metric.data, metric.title, *in_lines([*map(partial(_value, metric), range(len(names))), *cells], is_high))
    return table


def _below(found: Sequence[ComparedMetric], names: list[str], is_high: bool) -> Table:
    table = make_table("data", "metric", "run", "value", f"{MINUS} A", _seen(is_high), "p (Holm)", numbers_from=3)
    for metric in found:
        for at, name in enumerate(names):
            first = (metric.data, metric.title) if not at else ("", "")
            cells = _change(metric, at - 1) if at else [""] * 3
            table.add_row(*first, name, *in_lines([_value(metric, at), *cells], is_high))
        table.add_section()
    return table


def _value(metric: ComparedMetric, at: int) -> str:
    one = metric.values[at]
    return one.text(metric.decimals) if one else MISSING


def _change(metric: ComparedMetric, at: int) -> list[str]:
    """What the run `at`, counted from the second, is more than the first, the smallest difference that can be seen, and p."""
    change = metric.change(at)
    mark = {"worse": "worse ", "better": "better "}.get(metric.verdict(at), "")
    return [mark + change.change_text(metric.decimals) if change else MISSING, metric.detectable_text(at), metric.p_text(at)]


def _seen(is_high: bool) -> str:
    return "can be\nseen" if is_high else "can be seen"


def _values_table(title: str, names: list[str], values: Mapping[str, list[str]], width: int) -> Table:
    """What is too long for `width` columns loses its middle: paths differ at their ends."""
    table = make_table(title, *names, numbers_from=1)
    room = max(_LEAST, (width - max(map(len, (title, *values)), default=0)) // len(names) - _GAP)
    for key, cells in values.items():
        table.add_row(key, *(cell if len(cell) <= room else f"{cell[: room // 3]}…{cell[1 - room + room // 3 :]}" for cell in cells))
    return table


def _words(key: str) -> str:
    return key.removesuffix("_bytes").removesuffix("_seconds").replace("_", " ")


def _cut(text: str, most: int = _MOST_CHARACTERS) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
