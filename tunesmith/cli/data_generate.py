"""`tunesmith data generate`: new examples that a model writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith.cli.data_files import ColumnOption, ForceOption, FormatOption
from tunesmith.cli.output import JsonOption, console, json_only

__all__ = ["generate"]

_WORDS = {
    "kept": "kept",
    "too_long": "not sent: request and answer are longer than the model reads",
    "cut": "had not ended at --max-new-tokens",
    "unparsed": "not one example in the form",
    "echo": "the answer is the question again",
    "not_in_passage": "the answer does not stand in the passage",
    "like_seed": "like a seed",
    "like_other": "like a row of --against",
    "like_row": "like a row written before",
}


_Seeds = Annotated[
    str | None,
    typer.Argument(
        metavar="SEEDS",
        help="Rows such as those that are wanted: questions with answers, conversations, or labelled texts; a file, an alias, a hub id.",
        show_default=False,
    ),
]
_EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="NAME@URL",
        help="Who writes: a model behind an address of OpenAI's kind. The key is read from OPENAI_API_KEY alone.",
        show_default=False,
    ),
]


def generate(
    seeds: _Seeds = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: jsonl.")] = ...,  # type: ignore[assignment]
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Who writes: an alias, a hub id, a folder, run:ID.", show_default=False)
    ] = None,
    endpoint: _EndpointOption = None,
    from_documents: Annotated[
        str | None,
        typer.Option(
            "--from-documents", metavar="FOLDER", help="In place of seeds: ask about passages of its documents.", show_default=False
        ),
    ] = None,
    rows: Annotated[int, typer.Option("-n", "--rows", min=1, help="Rows wanted. At most four times as many requests are made.")] = 100,
    examples: Annotated[int, typer.Option(min=1, max=64, help="Seeds that each request shows.")] = 4,
    near: Annotated[
        float,
        typer.Option(
            metavar="SIMILARITY", help="Leave out questions that share this part of their shingles with a seed's, or an earlier one."
        ),
    ] = 0.7,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OTHER", help="Leave out questions of this source too, such as a test set. Can be given again.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed shows other rows, and draws other words.")] = 0,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="How freely words are drawn; 0: always the likeliest.")] = 0.7,
    max_new_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Cut answers at this length; a cut one is not kept.")] = 256,
    format: FormatOption = None,
    column: ColumnOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Let a model write new rows, such as the seeds or about documents. What it writes is filtered, never judged: read it before training.

    Left out, and counted, is what is not in the form that was asked for, and what is like a seed, a test row or an earlier row.
    """
    from tunesmith.cli.predict import columns_given

    columns = columns_given(column or ())
    with json_only(json) as write_document:
        from tunesmith.app.data_generate import generate_data
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            made = generate_data(
                seeds, out, documents=from_documents, model=model, endpoint=endpoint, rows=rows, examples=examples, near=near,
                against=against or (), seed=seed, temperature=temperature, max_new_tokens=max_new_tokens, format=format, columns=columns,
                force=force, progress=progress,
            )  # fmt: skip
        write_document({"schema": "tunesmith/data-generate/1", **made})
        if not json:
            _print(made)


def _print(made: Mapping[str, Any]) -> None:
    from tunesmith.cli import tables

    asked = made["asked"]
    tables.print_models(
        [
            {"answers": f"{count:,}", "share": f"{count / asked:.0%}", "what became of them": _WORDS[kind]}
            for kind, count in made["outcomes"].items()
            if count
        ]
    )
    out = console(stderr=True)
    kept = made["outcomes"]["kept"]
    labels = "".join(f", {label} {count:,}" for label, count in made["labels"].items())
    out.print(f"{kept:,} row{'' if kept == 1 else 's'} of {asked:,} requests, {made['parsed']:,} in the form{labels}: {made['out']}")
    if made["seeds_left_out"]:
        out.print(f"{made['seeds_left_out']:,} seeds were not shown: they cannot be written in the form line by line.", style="dim")
    out.print(f"what a model writes may be wrong: tunesmith data sample {made['out']} -n 20 --out - shows rows to read", style="dim")
