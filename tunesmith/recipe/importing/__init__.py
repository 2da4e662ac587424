"""Recipes out of other programs' files: LLaMA-Factory's YAML or JSON and axolotl's YAML, with a list of what could not be carried over."""

from tunesmith.recipe.importing.draft import Imported, Left
from tunesmith.recipe.importing.read import import_recipe

__all__ = ["Imported", "Left", "import_recipe"]
