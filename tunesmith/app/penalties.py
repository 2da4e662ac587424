"""What a network adds to its own loss, and a recipe's say in it."""

from torch import nn

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import Recipe

__all__ = ["check_penalties"]


def check_penalties(recipe: Recipe, trunk: nn.Module) -> None:
    """Raises: RecipeError, where the recipe scales penalties that the network does not have (`adds_penalties`): it would change nothing."""
    scale = recipe.train.penalty_scale
    if scale != 1 and recipe.trains and not getattr(trunk, "adds_penalties", False):
        raise RecipeError(
            f"{recipe.name}: train.penalty_scale: found {scale:g}, and {recipe.model.source} adds nothing to its loss that could be scaled. Leave it out."
        )
