"""`tunesmith merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.completion import runs as complete_runs
from tunesmith.cli.output import JsonOption, console, json_only

__all__ = ["merge", "weights_given"]


def merge(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN", help="Runs of one base: ids, beginnings of ids, or folders.", autocompletion=complete_runs)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write, which does not exist yet.")],
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="W,W,...", help="How much of each run's change is added; else all of one, equal shares of several.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Fold what runs trained into their full-precision base, and write the whole model, checked against the unmerged one."""
    from tunesmith.core.run import find_run

    found, shares = [find_run(run) for run in runs], weights_given(weights)
    with json_only(json) as write_document:
        from tunesmith.app.merge import merge_runs
        from tunesmith.cli.progress import Progress
        from tunesmith.report.numbers import size

        with Progress() as progress:
            summary = merge_runs(found, output, weights=shares, progress=progress)
        write_document({"schema": "tunesmith/merge/1", **summary})
        if not json:
            out = console(stderr=True)
            for note in summary["notes"]:
                out.print(f"note: {note}")
            out.print(f"merged and unmerged differ by {summary['max_difference']:.1e} at most, in float32")
            out.print(f"{output}: a whole model, {size(summary['bytes'])}")


def weights_given(text: str | None) -> list[float] | None:
    """The numbers between commas. Raises: UsageError, where one is none."""
    from tunesmith.core.errors import UsageError

    if text is None:
        return None
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [float("nan")]
    if any(abs(number) == float("inf") or number != number for number in found):
        raise UsageError(f"--weights {text}: expected numbers between commas, such as 0.5,0.5.")
    return found
