"""`tunesmith models`: where to start from."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli.output import JsonOption, json_only

__all__ = ["app"]

app = typer.Typer(help="List, fetch and describe models.", no_args_is_help=True)

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="An alias, a hub id, a folder, or run:ID.")]
RevisionOption = Annotated[str | None, typer.Option(help="The hub's commit, tag or branch.")]


@app.command("list")
def list_(json: JsonOption = False) -> None:
    """List the models that need no hub, and which of them are in the cache."""
    with json_only(json) as write_document:
        from tunesmith.app.models import list_models
        from tunesmith.cli import tables

        models = list_models()
        write_document({"schema": "tunesmith/models/1", "models": models})
        if not json:
            tables.print_models(models)


@app.command()
def pull(model: ModelArgument, revision: RevisionOption = None, json: JsonOption = False) -> None:
    """Fetch a model into the cache, and check it."""
    with json_only(json) as write_document:
        from tunesmith.app.models import pull_model
        from tunesmith.cli import tables
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            pulled = pull_model(model, revision=revision, progress=progress)
        write_document({"schema": "tunesmith/model/1", **pulled})
        if not json:
            tables.print_facts(pulled)


@app.command()
def show(model: ModelArgument, revision: RevisionOption = None, json: JsonOption = False) -> None:
    """Show a model's parameters by part, the memory to train it with each method, its licence and source."""
    with json_only(json) as write_document:
        from tunesmith.app.models import show_model
        from tunesmith.cli import tables
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            shown = show_model(model, revision=revision, progress=progress)
        write_document({"schema": "tunesmith/model/1", **shown})
        if not json:
            tables.print_facts(shown)
