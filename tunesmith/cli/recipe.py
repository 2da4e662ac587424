"""`tunesmith recipe`: what a recipe says and may say."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tunesmith.cli.completion import recipes
from tunesmith.cli.output import JsonOption, Overrides, print_json

__all__ = ["app"]

app = typer.Typer(help="List, show and describe recipes.", no_args_is_help=True)


@app.command("list")
def list_(json: JsonOption = False) -> None:
    """List the recipes that come with tunesmith."""
    from tunesmith.recipe import load, shipped_recipes

    found = [{"name": name, "description": load(name).description} for name in shipped_recipes()]
    if json:
        print_json({"schema": "tunesmith/recipes/1", "recipes": found})
        return
    from tunesmith.cli import tables

    tables.print_recipes(found)


@app.command()
def show(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of one that comes with tunesmith.", autocompletion=recipes)],
    overrides: Overrides = None,
    json: JsonOption = False,
) -> None:
    """Print a recipe with every default written out."""
    from tunesmith.recipe import dump, load

    loaded = load(recipe, overrides or ())
    if json:
        print_json(loaded.model_dump(mode="json"))
    else:
        sys.stdout.write(dump(loaded))


@app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for an editor: every key, every plug-in that is installed and its options."""
    from tunesmith.recipe.json_schema import write_json_schema

    sys.stdout.write(write_json_schema())
