"""`tunesmith axes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tunesmith.cli.completion import runs as complete_runs
from tunesmith.cli.output import JsonOption, console, json_only

__all__ = ["axes"]


def axes(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run of a classifier, a regression or a language model.", autocompletion=complete_runs)
    ],
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="So many test rows at most.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other rows and writes other typing errors.")] = 0,
    toxicity_classifier: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Who says which answers are toxic, beside the list of words: a run of a classifier, a folder or a hub id of a model with a head; without it, a small one of the package index; none: nobody.",
            show_default=False,
        ),
    ] = None,
    toxic_label: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL", help="Which of the classifier's labels means toxic; without it, the one called so.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """How well base and tuned model bear other ways of asking, what they write about people, and what an answer costs.

    Robustness: typing errors, case, spacing, contractions, other requests. Fairness: names and words of gender swapped. For both, the score where each
    row counts as its worst way. What is written is held against small lists of words, and read by a classifier for toxicity. The run's report shows it all, with a picture.
    """
    from tunesmith.core.run import find_run

    found = find_run(run)
    with json_only(json) as write_document:
        from tunesmith.app.axes import measure_axes
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            measured = measure_axes(
                found, limit=limit, seed=seed, toxicity_classifier=toxicity_classifier, toxic_label=toxic_label, progress=progress
            )
        write_document(measured)
        if not json:
            _print(measured)
            console().print(f"Report: {found.report_html}", soft_wrap=True)


def _print(measured: Mapping[str, Any]) -> None:
    from tunesmith.cli.tables import make_table
    from tunesmith.report.axes import axes_remark, axes_title, axis_rows

    out = console()
    out.print(f"\n{axes_title(measured)}", style="bold")
    table = make_table("", "rows changed", "base", "tuned", numbers_from=1)
    for line in axis_rows(measured):
        table.add_row(*line)
    out.print(table, soft_wrap=False)
    if remark := axes_remark(measured):
        out.print(remark)
