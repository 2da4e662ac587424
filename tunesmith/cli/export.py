"""`tunesmith export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.completion import runs as complete_runs
from tunesmith.cli.output import JsonOption, console, json_only

__all__ = ["export"]


def export(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run: its id, the beginning of it, or its folder.", autocompletion=complete_runs)
    ],
    output: Annotated[Path, typer.Argument(metavar="FILE.h5", help="The file to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    json: JsonOption = False,
) -> None:
    """Write a tuned network of layers as an .h5 file that Keras loads, with its head as the last layer."""
    from tunesmith.core.run import find_run

    found = find_run(run)
    with json_only(json) as write_document:
        from tunesmith.app.export import export_run
        from tunesmith.cli.progress import Progress
        from tunesmith.report.numbers import size

        with Progress() as progress:
            summary = export_run(found, output, overwrite=overwrite, progress=progress)
        write_document({"schema": "tunesmith/export/1", **summary})
        if not json:
            classes = f", whose outputs are {', '.join(summary['labels'])}" if summary["labels"] else ""
            console(stderr=True).print(f"{output}: {size(summary['bytes'])}{classes}", highlight=False)
