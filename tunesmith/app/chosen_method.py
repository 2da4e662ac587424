"""The method that a recipe names."""

from tunesmith.core import registry
from tunesmith.core.types import Method
from tunesmith.method._nothing import Nothing
from tunesmith.recipe import Recipe

__all__ = ["chosen_method"]


def chosen_method(recipe: Recipe) -> Method:
    """Made with its options; where the recipe trains nothing, one that does nothing. Raises: UsageError, MethodError."""
    if not recipe.trains:
        return Nothing()
    method: Method = registry.create("method", recipe.method.name, **recipe.method.options)
    return method
