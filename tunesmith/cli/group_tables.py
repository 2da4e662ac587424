"""What commands print of a group of runs: several seeds, or a learning curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunesmith.cli.output import console
from tunesmith.cli.tables import first_that_fits, in_lines, make_table
from tunesmith.report.chain_page import chain_stages, changing_classes
from tunesmith.report.groups import GroupPlace, group_sentences, read_group
from tunesmith.report.numbers import MISSING, count, decimals_for, duration, significant
from tunesmith.report.results import Estimate, metric_title

if TYPE_CHECKING:
    from rich.table import Table

    from tunesmith.core.run import GroupDirectory

__all__ = ["print_chain", "print_group", "print_means"]


def print_chain(document: Mapping[str, Any], group: GroupDirectory) -> None:
    """A line a stage, what is to be known of each, and where the report is."""
    out, stages = console(), chain_stages(document)
    table = make_table("stage", "what", "metric", "base", "tuned", "difference", numbers_from=3)
    for stage in stages:
        table.add_row(stage.name, stage.did, stage.metric, stage.base, stage.tuned, stage.difference)
    out.print()
    out.print(table)
    classes = changing_classes(stages)
    if classes:
        by_class = make_table("right of each class", *classes, numbers_from=1)
        for stage in stages:
            if stage.classes:
                by_class.add_row(stage.name, *(stage.classes.get(label, MISSING) for label in classes))
        out.print()
        out.print(by_class)
    for stage in stages:
        for warning in stage.warnings:
            out.print(f"warning: {stage.name}: {warning}", style="yellow")
    cost = document["cost"]
    out.print(f"trained in {duration(cost['train_seconds'])} · {duration(cost['total_seconds'])} in all", style="dim")
    out.print(f"report: {group.report_html}", style="bold")


def print_means(document: Mapping[str, Any]) -> None:
    """By metric a line a stage: what each chain measured, the mean, and what differs from the stage that they are held to; then what is to be known of them.

    Where the columns do not hold that, intervals stand below their values; where they do not hold that either, all of a stage stands below its name.
    """
    out, by_metric = console(), dict[str, dict[str, Mapping[str, Any]]]()
    for stage, entry in document["stages"].items():
        by_metric.setdefault(entry["metric"], {})[stage] = entry
    for metric, stages in by_metric.items():
        names = [*(f"run {number}" for number in range(1, len(document["chains"]) + 1)), "mean"]
        if any(entry["difference"] for entry in stages.values()):
            names.append(f"minus {document['against']}")
        cells = {stage: _mean_cells(entry)[: len(names)] for stage, entry in stages.items()}
        layouts = ((layout, is_high) for layout in (_means_beside, _means_below) for is_high in (False, True))
        out.print()
        out.print(first_that_fits((layout(metric_title(metric), names, cells, is_high) for layout, is_high in layouts), out.width))
    out.print()
    for number, chain in enumerate(document["chains"], 1):
        out.print(f"run {number}: {chain['directory']}", style="dim")
    for remark in document["remarks"]:
        out.print(f"note: {remark}", style="yellow")


def _mean_cells(entry: Mapping[str, Any]) -> list[str]:
    """What each chain measured, the mean, and the difference."""
    found = [Estimate.read(one) for one in (*entry["values"], entry["tuned"])]
    decimals = decimals_for(*(one.ends for one in found if one))
    change = Estimate.read(entry["difference"])
    return [*(_text(one, decimals) for one in found), change.change_text(decimals) if change else MISSING]


def _means_beside(title: str, names: list[str], cells: Mapping[str, list[str]], is_high: bool) -> Table:
    table = make_table(title, *(name.replace("minus ", "minus\n", 1) if is_high else name for name in names), numbers_from=1)
    for stage, own in cells.items():
        table.add_row(stage, *in_lines(own, is_high))
    return table


def _means_below(title: str, names: list[str], cells: Mapping[str, list[str]], is_high: bool) -> Table:
    table = make_table(title, "", numbers_from=1)
    for stage, own in cells.items():
        table.add_row(stage, "")
        for name, cell in zip(names, in_lines(own, is_high), strict=True):
            if cell != MISSING:
                table.add_row(f"  {name}", cell)
        table.add_section()
    return table


def print_group(document: Mapping[str, Any], group: GroupDirectory) -> None:
    """The runs, what they measured together, what that says, and where the report is."""
    out, places = console(), read_group(document)
    is_curve = document["schema"] == "tunesmith/curve/1"
    out.print()
    out.print(_runs_table(document, places))
    for place in places:
        out.print()
        out.print(_curve_table(document, place) if is_curve else _seeds_table(place))
    out.print()
    out.print(" ".join(group_sentences(document)), soft_wrap=False)
    for warning in document["warnings"]:
        out.print(f"warning: {warning}", style="yellow")
    removed = [run.id for run in group.members if not run.recipe.is_file()]
    if removed:
        out.print(f"warning: removed since: {', '.join(removed)}", style="yellow")
    cost = document["cost"]
    out.print(f"trained in {duration(cost['train_seconds'])} · {duration(cost['total_seconds'])} in all", style="dim")
    out.print(f"report: {group.report_html}", style="bold")


def _runs_table(document: Mapping[str, Any], places: list[GroupPlace]) -> Table:
    first = places[0].metrics[0] if places else None
    table = make_table("run", "rows", "steps", "best at", "validation", "ended", *([first.title] if first else []), numbers_from=1)
    chosen = (document.get("choice") or {}).get("run")
    for at, run in enumerate(document["runs"]):
        best, measured = run["best"], first.by_run[at] if first else None
        table.add_row(
            f"{run['run']} *" if run["run"] == chosen else run["run"],
            count(run["train_rows"]),
            count(run["steps"]),
            count(best["step"]) if best else MISSING,
            f"{metric_title(best['metric'])} {significant(best['value'])}" if best else MISSING,
            "early" if run["stopped_early"] else "as planned",
            *([measured.text(first.decimals) if measured else MISSING] if first else []),
        )
    return table


def _seeds_table(place: GroupPlace) -> Table:
    table = make_table(place.name, "base", "mean", "sd", "min", "max", "difference", numbers_from=1)
    for metric in place.metrics:
        table.add_row(
            metric.title,
            _text(metric.base, metric.decimals),
            _text(metric.mean, metric.decimals),
            *(
                MISSING if metric.entry[key] is None else significant(metric.entry[key], digits)
                for key, digits in (("sd", 2), ("min", 3), ("max", 3))
            ),
            metric.difference.change_text(metric.decimals) if metric.difference else MISSING,
        )
    return table


def _curve_table(document: Mapping[str, Any], place: GroupPlace) -> Table:
    rows = [f"{count(run['train_rows'])} rows" for run in document["runs"]]
    table = make_table(place.name, *rows, "last step", "a doubling", numbers_from=1)
    for metric in place.metrics:
        changes = (metric.last_step, metric.per_doubling)
        table.add_row(
            metric.title,
            *(_text(found, metric.decimals) for found in metric.by_run),
            *(change.change_text(metric.decimals) if change else MISSING for change in changes),
        )
    return table


def _text(estimate: Estimate | None, decimals: int) -> str:
    return estimate.text(decimals) if estimate else MISSING
