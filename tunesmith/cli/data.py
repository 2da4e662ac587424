"""`tunesmith data`: look at the data as the model will see it, and make files of it."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli import data_files
from tunesmith.cli.check import check
from tunesmith.cli.completion import recipes
from tunesmith.cli.data_generate import generate
from tunesmith.cli.output import JsonOption, Overrides, SkipInvalidOption, json_only, with_skip_invalid

__all__ = ["app"]

app = typer.Typer(help="Look at data, and make data files.", no_args_is_help=True)

app.command("split")(data_files.split)
app.command("dedupe")(data_files.dedupe)
app.command("convert")(data_files.convert)
app.command("sample")(data_files.sample)
app.command("generate")(generate)


@app.callback()
def data() -> None:
    """Look at data, and make data files."""


@app.command()
def preview(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of one that comes with tunesmith.", autocompletion=recipes)],
    overrides: Overrides = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 3,
    start: Annotated[int, typer.Option(min=1, help="Number of the first row to show.")] = 1,
    tokens: Annotated[bool, typer.Option("--tokens", help="Show every token by itself.")] = False,
    skip_invalid: SkipInvalidOption = False,
    json: JsonOption = False,
) -> None:
    """Show training rows as the model reads them: the template filled in, and in colour the tokens that are learned."""
    from tunesmith.recipe import load

    loaded = load(recipe, with_skip_invalid(overrides, skip_invalid))
    with json_only(json) as write_document:
        from tunesmith.app.preview import preview as preview_rows
        from tunesmith.cli import tables

        shown = preview_rows(loaded, rows, start)
        write_document({"schema": "tunesmith/preview/1", "rows": shown})
        if not json:
            tables.print_preview(shown, by_token=tokens)


app.command("check")(check)
