"""`tunesmith predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.completion import runs
from tunesmith.cli.output import JsonOption, console, json_only

__all__ = ["predict"]


def predict(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, or its folder.", autocompletion=runs)],
    file: Annotated[Path, typer.Argument(help="Rows to predict: csv, tsv, json, jsonl, parquet or txt, of any size.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: csv, tsv or jsonl.")],
    json: JsonOption = False,
) -> None:
    """Predict every row of a file with a tuned model: labels with probabilities, or completions."""
    from tunesmith.core.run import find_run

    found = find_run(run)
    with json_only(json) as write_document:
        from tunesmith.app.predict import predict_file
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            summary = predict_file(found, file, out, progress=progress)
        write_document({"schema": "tunesmith/predict/1", **summary})
        if not json:
            console(stderr=True).print(f"{summary['rows']:,} rows predicted: {out}")
