"""`tunesmith tune`."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli.completion import recipes
from tunesmith.cli.output import JsonOption, Overrides, SkipInvalidOption, json_only, with_skip_invalid

__all__ = ["tune"]


def tune(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of one that comes with tunesmith.", autocompletion=recipes)],
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the resolved recipe and the plan.")] = False,
    skip_invalid: SkipInvalidOption = False,
    json: JsonOption = False,
) -> None:
    """Train a model on your data, and measure it before and after on data that it has not seen.

    Writes a run folder with what was trained, predictions and a report.
    """
    from tunesmith.core.garbage import never_collected
    from tunesmith.recipe import load

    loaded = load(recipe, with_skip_invalid(overrides, skip_invalid))
    with json_only(json) as write_document:
        with never_collected():
            from tunesmith.app.tune import plan
            from tunesmith.app.tune import tune as tune_now
            from tunesmith.cli import tables
            from tunesmith.cli.progress import Progress
            from tunesmith.core.run import RunDirectory

        if dry_run:
            planned = plan(loaded).to_dict()
            write_document(planned)
            if not json:
                tables.print_plan(loaded, planned)
            return
        with Progress() as progress:
            run = RunDirectory(tune_now(loaded, progress=progress).path)
        report = run.read_json(run.report_json)
        write_document(report)
        if not json:
            tables.print_report(report, run)
