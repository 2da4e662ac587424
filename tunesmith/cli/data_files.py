"""`tunesmith data split`, `dedupe`, `convert` and `sample`: data files made from data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith.cli.output import JsonOption, SkipInvalidOption, console, json_only

__all__ = ["convert", "dedupe", "sample", "split"]

Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="What to read: a file, a folder with one folder a class, an alias, a hub id.")
]
OutFile = Annotated[Path, typer.Option("--out", "-o", help="File to write: jsonl, csv, tsv or parquet.")]
FormatOption = Annotated[
    str | None, typer.Option("--format", metavar="NAME", help="How a row is read, where its columns do not tell.", show_default=False)
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="ROLE=COLUMN", help="Which column is what: text=review. Can be given again.", show_default=False),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what exists.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Another seed draws other rows.")]


def split(
    source: Source,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write: train, validation and test, as files of the source's kind.")],
    validation: Annotated[float, typer.Option(min=0, help="Share or number of rows for validation; 0: none.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, help="Share or number of rows for the test; 0: none.")] = 0.2,
    seed: SeedOption = 0,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Rows with the same value of this column stay together.", show_default=False)
    ] = None,
    stratify: Annotated[bool, typer.Option("--stratify/--no-stratify", help="Hold out each label in proportion.")] = True,
    format: FormatOption = None,
    column: ColumnOption = None,
    force: ForceOption = False,
    skip_invalid: SkipInvalidOption = False,
    json: JsonOption = False,
) -> None:
    """Split a source into files for training, validation and test: no text in two of them, whatever the order of the rows.

    Without --seed and --by the splits are those that `tune` makes of the same source.
    """
    from tunesmith.cli.predict import columns_given

    columns = columns_given(column or ())
    with json_only(json) as write_document:
        from tunesmith.app.data_split import split_data
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            made = split_data(
                source, out, validation=validation, test=test, seed=seed, by=by, stratify=stratify, format=format, columns=columns, force=force,
                skip_invalid=skip_invalid, progress=progress,
            )  # fmt: skip
        write_document({"schema": "tunesmith/data-split/1", **made})
        if not json:
            _print_splits(made)


def dedupe(
    source: Source,
    out: OutFile,
    near: Annotated[
        float | None,
        typer.Option(
            metavar="SIMILARITY",
            help="Leave out near duplicates, too: texts that share this part of their shingles, such as 0.8.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="OTHER", help="Leave out what stands in this source, too, such as a test set.", show_default=False)
    ] = None,
    format: FormatOption = None,
    column: ColumnOption = None,
    force: ForceOption = False,
    skip_invalid: SkipInvalidOption = False,
    json: JsonOption = False,
) -> None:
    """Leave out rows that say again what an earlier one says, or one of another source."""
    from tunesmith.cli.predict import columns_given

    columns = columns_given(column or ())
    with json_only(json) as write_document:
        from tunesmith.app.data_dedupe import dedupe_data
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            made = dedupe_data(
                source,
                out,
                near=near,
                against=against,
                format=format,
                columns=columns,
                force=force,
                skip_invalid=skip_invalid,
                progress=progress,
            )
        write_document({"schema": "tunesmith/data-dedupe/1", **made})
        if not json:
            _print_repeats(made)


def convert(
    source: Source,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="messages, sharegpt, alpaca, pairs, labelled or text.")],
    out: OutFile,
    lossy: Annotated[bool, typer.Option("--lossy", help="Go on where the format cannot say all that the rows say.")] = False,
    format: FormatOption = None,
    column: ColumnOption = None,
    force: ForceOption = False,
    skip_invalid: SkipInvalidOption = False,
    json: JsonOption = False,
) -> None:
    """Write the same examples in another format. What would be lost is said, and refused without --lossy."""
    from tunesmith.cli.predict import columns_given

    columns = columns_given(column or ())
    with json_only(json) as write_document:
        from tunesmith.app.data_convert import convert_data
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            made = convert_data(
                source, to, out, lossy=lossy, format=format, columns=columns, force=force, skip_invalid=skip_invalid, progress=progress
            )
        write_document({"schema": "tunesmith/data-convert/1", **made})
        if not json:
            lost = "".join(f"; lost: {loss} ({rows:,} rows)" for loss, rows in made["lost"].items())
            console(stderr=True).print(f"{_rows(made['rows'])} from {made['from']} to {made['to']}: {out}{lost}")


def sample(
    source: Source,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="File to write: jsonl, csv, tsv or parquet; - for JSON lines on stdout.")
    ],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Rows to draw.")] = 100,
    seed: SeedOption = 0,
    stratify: Annotated[bool, typer.Option("--stratify", help="Draw each label in proportion.")] = False,
    format: FormatOption = None,
    column: ColumnOption = None,
    force: ForceOption = False,
    skip_invalid: SkipInvalidOption = False,
    json: JsonOption = False,
) -> None:
    """Draw rows at random, the same ones every time."""
    from tunesmith.cli.predict import columns_given
    from tunesmith.core.errors import UsageError

    columns, file = columns_given(column or ()), None if out == "-" else Path(out)
    if json and file is None:
        raise UsageError("--out -: the rows go to stdout, and so would the document of --json. Name a file, or leave --json out.")
    with json_only(json) as write_document:
        from tunesmith.app.data_sample import sample_data
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            made = sample_data(
                source, file, count, seed=seed, stratify=stratify, format=format, columns=columns, force=force, skip_invalid=skip_invalid,
                progress=progress,
            )  # fmt: skip
        write_document({"schema": "tunesmith/data-sample/1", **made})
        if not json:
            labels = "".join(f", {label} {rows:,}" for label, rows in made["labels"].items())
            fewer = f" ({source} holds no more)" if made["sampled"] < count else ""
            console(stderr=True).print(f"{made['sampled']:,} of {_rows(made['rows'])}{labels}: {out}{fewer}")


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _print_splits(made: Mapping[str, Any]) -> None:
    from tunesmith.cli import tables

    total = sum(made["rows"].values())
    tables.print_models(
        [
            {
                "split": name,
                "rows": f"{rows:,}",
                "share": f"{rows / total:.1%}",
                **(
                    {"labels": ", ".join(f"{label} {number:,}" for label, number in made["labels"][name].items())} if made["labels"] else {}
                ),
                "file": made["files"][name],
            }
            for name, rows in made["rows"].items()
        ]
    )
    told = {"validation": "data.validation", "test": "data.test"}
    given = " ".join(f"{told[name]}={path}" for name, path in made["files"].items() if name in told)
    console(stderr=True).print(f"to tune with them: tunesmith tune RECIPE data.train={made['files']['train']} {given}", style="dim")


def _print_repeats(made: Mapping[str, Any]) -> None:
    from tunesmith.cli import tables

    out = console(stderr=True)
    if made["repeats"]:
        tables.print_models(
            [{"row": one["row"], "is like": one["like"], "similarity": f"{one['similarity']:.2f}"} for one in made["repeats"][:10]]
        )
    words = {
        "exact": "repeated",
        "near": "nearly repeated",
        "exact_other": f"in {made['against']}",
        "near_other": f"nearly in {made['against']}",
    }
    left_out = ", ".join(f"{made[kind]:,} {word}" for kind, word in words.items() if made[kind]) or "none repeated"
    out.print(f"{made['kept']:,} of {_rows(made['rows'])} kept ({left_out}): {made['out']}")
    if made["other_label"]:
        out.print(
            f"warning: {_rows(made['other_label'])} left out had another label than the row that was kept: one of the two is wrong.",
            style="yellow",
        )
