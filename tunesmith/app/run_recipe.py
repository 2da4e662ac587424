"""The recipe of a run, with what it names where that is now."""

from collections.abc import Mapping
from typing import Any

from tunesmith.core.moved import moved
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import Recipe, from_mapping, load

__all__ = ["run_recipe"]


def run_recipe(directory: RunDirectory) -> Recipe:
    """The recipe as it was resolved; of a stage of a chain whose folder was moved, what other stages made under its path of now. Raises: RecipeError."""
    recipe = load(directory.recipe)
    values = recipe.model_dump()
    found = _moved(directory, values)
    return recipe if found == values else from_mapping(found, name=recipe.name, where=str(directory.recipe))


def _moved(directory: RunDirectory, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _moved(directory, one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_moved(directory, one) for one in value)
    return moved(directory, value) if isinstance(value, str) else value
