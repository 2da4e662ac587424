"""`tunesmith recipe`: what a recipe says and may say, and recipes out of other programs' files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.completion import recipes
from tunesmith.cli.output import JsonOption, Overrides, console, print_json

__all__ = ["app"]

app = typer.Typer(help="List, show, describe and import recipes.", no_args_is_help=True)


@app.command("list")
def list_(json: JsonOption = False) -> None:
    """List the recipes that come with tunesmith, those of several stages last."""
    from tunesmith.recipe import load, load_chain, shipped_chains, shipped_recipes

    found = [{"name": name, "description": load(name).description} for name in shipped_recipes()]
    found += [{"name": name, "description": load_chain(name).description} for name in shipped_chains()]
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
    from tunesmith.recipe import dump, is_chain, load, load_chain

    if is_chain(recipe):
        chain = load_chain(recipe, overrides or ())
        if json:
            print_json({"name": chain.name, "description": chain.description, "stages": chain.stages})
        else:
            sys.stdout.write(chain.dump())
        return
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


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A training file of LLaMA-Factory (YAML or JSON) or of axolotl (YAML).")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write the recipe to; without it, it is printed.", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file to write where it exists.")] = False,
    json: JsonOption = False,
) -> None:
    """Make a recipe out of another program's training file, and list what could not be carried over, with the reason and what to do."""
    from dataclasses import asdict

    from tunesmith.core.errors import UsageError
    from tunesmith.core.files import write_text
    from tunesmith.recipe.importing import import_recipe

    if out is not None and out.exists() and not overwrite:
        raise UsageError(f"{out}: exists. Name another file, or add --overwrite.")
    imported = import_recipe(file)
    if out is not None:
        write_text(out, imported.text)
    if json:
        left = [asdict(one) for one in imported.left]
        document = {"program": imported.program, "recipe": imported.text, "file": str(out) if out else None, "not_carried_over": left}
        print_json({"schema": "tunesmith/recipe-import/1", **document})
        return
    from tunesmith.cli import tables

    if out is None:
        sys.stdout.write(imported.text)
    tables.print_left(imported.left, stderr=out is None)
    if out is not None:
        console().print(f"{imported.program}: written to {out}. Look at it, then: tunesmith tune {out} --dry-run")
