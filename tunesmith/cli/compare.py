"""`tunesmith compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.completion import recipes
from tunesmith.cli.output import BudgetUsdOption, JsonOption, Overrides, SkipInvalidOption, console, json_only, with_skip_invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from tunesmith.core.run import GroupDirectory
    from tunesmith.report.comparison import Compared

__all__ = ["compare", "print_comparison"]


def compare(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of one that comes with tunesmith.", autocompletion=recipes)],
    overrides: Overrides = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long it may take, as 90s, 20m or 1.5h; `budget` of the recipe.", show_default=False),
    ] = None,
    prefer: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="What decides where the test rows do not: cost, accuracy, latency, memory, privacy or freshness; `prefer` of the recipe.",
            show_default=False,
        ),
    ] = None,
    budget_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="How much memory an arm may take, as 800MB or 4GB; `budget_memory` of the recipe.", show_default=False
        ),
    ] = None,
    budget_usd: BudgetUsdOption = None,
    skip_invalid: SkipInvalidOption = False,
    json: JsonOption = False,
) -> None:
    """Adapt a model in several ways on the same data, and say which may be the best, and which of these to take.

    The ways (arms) are the recipe's `arms`, or the usual ones for its data and model; among them the model as it is and, for labels, the most frequent one. The same command goes on with a
    comparison that was interrupted.
    """
    from tunesmith.core.garbage import never_collected
    from tunesmith.recipe import load

    given = (("budget", budget), ("prefer", prefer), ("budget_memory", budget_memory), ("budget_usd", budget_usd))
    options = [f"{name}={value}" for name, value in given if value is not None]
    loaded = load(recipe, [*with_skip_invalid(overrides, skip_invalid), *options])
    with json_only(json) as write_document:
        with never_collected():
            from tunesmith.app.compare import compare as compare_now
            from tunesmith.cli.progress import Progress

        with Progress() as progress:
            group = compare_now(loaded, progress=progress)
        write_document(group.report)
        if not json:
            print_comparison(group.report, group.directory)


def print_comparison(document: Mapping[str, Any], group: GroupDirectory) -> None:
    """The arms, the verdict, the command that makes the chosen one, and where the report is."""
    from tunesmith.cli.tables import first_that_fits
    from tunesmith.report.comparison import read_comparison
    from tunesmith.report.numbers import duration, usd
    from tunesmith.report.predicted import arm_predictions

    out, found = console(), read_comparison(document)
    out.print()
    out.print(first_that_fits((_table(found, columns) for columns in (_ALL, _SOME, _FEW)), out.width))
    if found.domains:
        out.print(_domains_table(found))
    for name, why in document["left_out"].items():
        out.print(f"{name}: left out: {why}", style="dim", soft_wrap=False)
    out.print()
    out.print(document["verdict"]["reason"], soft_wrap=False)
    if document["verdict"]["command"]:
        out.print(f"  {document['verdict']['command']}", soft_wrap=True, style="dim")
    for warning in document["warnings"]:
        out.print(f"warning: {warning}", style="yellow")
    taken = [f"{name} {' '.join(one['changes'])}" for name, one in (document.get("search") or {}).items() if not one["is_stopped"]]
    if taken:
        out.print(f"searched on validation rows: {'; '.join(taken)}", style="dim", soft_wrap=False)
    for name, predicted in arm_predictions(document).items():
        out.print(f"{name}: {'; '.join(one.text for one in predicted)}", style="dim", soft_wrap=False)
    cost = document["cost"]
    paid = f" · {usd(cost['usd'])} paid" if cost.get("usd") else ""
    searched = f" and {duration(cost['search_seconds'])} of trials" if cost.get("search_seconds") else ""
    out.print(f"trained in {duration(cost['train_seconds'])}{searched} · {duration(cost['total_seconds'])} in all{paid}", style="dim")
    out.print(f"report: {group.report_html}", style="bold")


_ALL = ("difference", "training", "1,000 answers", "$ per 1,000", "memory", "trained", "kept", "forgot")
_SOME = ("difference", "training", "1,000 answers", "$ per 1,000", "kept")
_FEW = ("training", "$ per 1,000")


def _table(found: Compared, columns: tuple[str, ...]) -> Table:
    from tunesmith.cli.tables import make_table
    from tunesmith.report.numbers import MISSING

    columns = tuple(one for one in columns if one != "$ per 1,000" or found.has_prices)
    table = make_table("arm", "", found.title, *columns, numbers_from=2)
    for row in found.rows:
        cells = {
            "difference": row.against.change_text(found.decimals) if row.against else MISSING,
            "training": row.training,
            "1,000 answers": row.thousand_answers,
            "$ per 1,000": row.thousand_answers_usd,
            "memory": row.memory,
            "trained": row.parameters,
            "kept": row.saved,
            "forgot": ", ".join(row.fell) or MISSING,
        }
        value = row.value.text(found.decimals) if row.value else MISSING
        table.add_row(row.name, row.standing, value, *(cells[name] for name in columns))
    return table


def _domains_table(found: Compared) -> Table:
    """The first metric on the test rows and on other data."""
    from tunesmith.cli.tables import make_table
    from tunesmith.report.numbers import MISSING

    table = make_table(f"{found.title} on", "test", *found.domains, numbers_from=1)
    for row in found.rows:
        values = [row.value, *(row.domains.get(name) for name in found.domains)]
        table.add_row(row.name, *(value.text(found.decimals) if value else MISSING for value in values))
    return table
