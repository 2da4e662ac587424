"""What `tunesmith runs compare` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunesmith.cli.output import console
from tunesmith.cli.tables import make_table
from tunesmith.report.compared import compare_sentences, cost_text, letters, read_compared, shown
from tunesmith.report.numbers import MISSING, count, significant

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["print_compared"]

_MOST_CHARACTERS = 200
"""Of a text beside others."""


def print_compared(document: Mapping[str, Any]) -> None:
    """The runs, their metrics with regressions first, rows that they answered otherwise, what their recipes and costs have apart, and what it says."""
    out, names = console(), letters(document)
    for name, run in zip(names, document["runs"], strict=True):
        out.print(f"{name}  {run['directory']}", style="bold")
    out.print()
    out.print(_metrics_table(document, names))
    if document["recipe"]:
        out.print(_values_table("recipe", names, {key: [shown(value) for value in values] for key, values in document["recipe"].items()}))
    out.print(
        _values_table("cost", names, {_words(key): [cost_text(key, one) for one in values] for key, values in document["cost"].items()})
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


def _metrics_table(document: Mapping[str, Any], names: list[str]) -> Table:
    others = [column for name in names[1:] for column in (f"{name} \u2212 A", "can be seen", "p (Holm)")]
    table = make_table("data", "metric", *names, *others, numbers_from=2)
    for metric in read_compared(document):
        cells = list[str]()
        for at in range(len(names) - 1):
            change = metric.change(at)
            mark = {"worse": "worse ", "better": "better "}.get(metric.verdict(at), "")
            cells += [mark + change.change_text(metric.decimals) if change else MISSING, metric.detectable_text(at), metric.p_text(at)]
        table.add_row(metric.data, metric.title, *(one.text(metric.decimals) if one else MISSING for one in metric.values), *cells)
    return table


def _values_table(title: str, names: list[str], values: Mapping[str, list[str]]) -> Table:
    table = make_table(title, *names, numbers_from=1)
    for key, cells in values.items():
        table.add_row(key, *(_cut(cell, 60) for cell in cells))
    return table


def _words(key: str) -> str:
    return key.removesuffix("_bytes").removesuffix("_seconds").replace("_", " ")


def _cut(text: str, most: int = _MOST_CHARACTERS) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
