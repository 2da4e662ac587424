"""What `tunesmith evaluate` prints for people: a suite's average and categories, or its tasks, with intervals; of a run beside its base."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tunesmith.cli.output import console
from tunesmith.cli.tables import first_that_fits, make_table
from tunesmith.report.numbers import MISSING, count, duration
from tunesmith.report.results import Comparison, Estimate

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["print_suites", "suites_table"]


class _Line(NamedTuple):
    name: str
    measured: Comparison


def print_suites(document: Mapping[str, Any]) -> None:
    """The table, how long it took, and where the answers are."""
    out = console()
    out.print()
    out.print(suites_table(document, out.width))
    out.print(f"{duration(document['seconds'])} · every task and every answer: {document['out']}", style="dim")


def suites_table(document: Mapping[str, Any], width: int) -> Table:
    """A line for each average, category, or metric of a task. Where `width` columns do not hold that, intervals stand below their values."""
    return first_that_fits((_table(document, in_lines=in_lines) for in_lines in (False, True)), width)


def _table(document: Mapping[str, Any], *, in_lines: bool) -> Table:
    has_base = "base" in document
    columns = ("base", "tuned", "difference", "can be\nseen" if in_lines else "can be seen", "p") if has_base else ("score",)
    table = make_table("", "metric", *columns, "rows", numbers_from=2, gap=0 if in_lines else 2)
    for suite in document["suites"]:
        for name, measured in _lines(document, suite):
            places = measured.decimals
            base, tuned = (one.text(places) if one else MISSING for one in (measured.base, measured.tuned))
            gap = measured.difference.change_text(places) if measured.difference else MISSING
            cells = (base, tuned, gap, measured.detectable_text, measured.p_text) if has_base else (tuned,)
            shown = (cell.replace(" (", "\n(", 1).replace(" to ", "\nto ") for cell in cells) if in_lines else cells
            table.add_row(name, measured.metric, *shown, count(measured.rows or 0))
        table.add_section()
    return table


def _lines(document: Mapping[str, Any], suite: str) -> Iterator[_Line]:
    """The average and its categories; the tasks, where there are no categories."""
    average = document["averages"].get(suite)
    if average:
        place, metric = ("averages", suite), "mean" if " and " in average["metric"] else average["metric"]
        yield _Line(suite, _measured(document, place, metric))
        for name in average["categories"]:
            yield _Line(f"  {name}", _measured(document, (*place, "categories", name), metric))
        if average["categories"]:
            return
    for task, metrics in document["suites"][suite].items():
        name = f"  {task}" if average else task
        for metric in metrics:
            yield _Line(name, _measured(document, ("suites", suite, task, metric), metric))
            name = ""


def _measured(document: Mapping[str, Any], place: tuple[str, ...], metric: str) -> Comparison:
    """What stands at a place of the document, of its base, and of their differences."""
    tuned, base, gap = (_at(document.get(part) if part else document, place) for part in ("", "base", "differences"))
    return Comparison(
        metric=metric,
        higher_is_better=gap.get("higher_is_better", True),
        rows=tuned["rows"],
        base=Estimate.read(base),
        tuned=Estimate.read(tuned),
        difference=Estimate.read(gap),
        p=gap.get("p_holm", gap.get("p")),
        test=gap.get("test", ""),
        majority=None,
        detectable=gap.get("detectable"),
    )


def _at(found: Any, place: tuple[str, ...]) -> Mapping[str, Any]:
    for key in place:
        found = found[key] if found else {}
    return found or {}
