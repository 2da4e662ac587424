"""`tunesmith predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.completion import runs
from tunesmith.cli.output import JsonOption, SkipInvalidOption, console, json_only

__all__ = ["columns_given", "predict"]


def predict(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, or its folder.", autocompletion=runs)],
    file: Annotated[Path, typer.Argument(help="Rows to predict: csv, tsv, json, jsonl, parquet or txt, of any size.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: csv, tsv or jsonl.")],
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=COLUMN", help="Which column of the file is what: text=comment. Can be given again.", show_default=False),
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Cut answers at this length, not at the recipe's.", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file to write where it exists.")] = False,
    skip_invalid: SkipInvalidOption = False,
    json: JsonOption = False,
) -> None:
    """Predict every row of a file with a tuned model: labels with probabilities, or completions."""
    from tunesmith.core.run import find_run

    found, columns = find_run(run), columns_given(column or ())
    with json_only(json) as write_document:
        from tunesmith.app.predict import predict_file
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            summary = predict_file(
                found,
                file,
                out,
                columns=columns,
                max_new_tokens=max_new_tokens,
                overwrite=overwrite,
                skip_invalid=skip_invalid,
                progress=progress,
            )
        write_document({"schema": "tunesmith/predict/1", **summary})
        if not json:
            rows = summary["rows"]
            console(stderr=True).print(f"{rows:,} row{'' if rows == 1 else 's'} predicted: {out}")


def columns_given(given: Sequence[str]) -> dict[str, str]:
    """role -> column. Raises: UsageError, where one is not written so, or a role stands twice."""
    from tunesmith.core.errors import UsageError

    columns: dict[str, str] = {}
    for text in given:
        role, _, name = text.partition("=")
        if not role or not name:
            raise UsageError(f"--column {text}: expected ROLE=COLUMN, such as text=comment.")
        if role in columns:
            raise UsageError(f"--column {text}: {role} is {columns[role]} already. Give each role once.")
        columns[role] = name
    return columns
