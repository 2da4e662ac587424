"""Arms: ways to adapt a model that `tunesmith compare` holds against each other, each the recipe with some changes."""

from collections.abc import Mapping, Sequence

from tunesmith.app.dataset import PreparedData, prepare_data
from tunesmith.core import registry
from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.core.types import Labelled
from tunesmith.recipe import Recipe, dump, from_mapping
from tunesmith.recipe.overlays import METHOD_OVERLAYS
from tunesmith.recipe.text import parse_yaml

__all__ = ["BASE", "MAJORITY", "arm_recipe", "arms_of", "known_arms"]

BASE, MAJORITY = "base", "majority"
"""Arms of which nothing is run: the model as it is, which every run is held against anyway, and the most frequent label."""
_IN_CONTEXT = {
    "zero_shot": ["method=none", "context=zero_shot"],
    "few_shot": ["method=none", "context=few_shot"],
    "retrieval": ["method=none", "context=retrieval"],
}
_USUAL = {
    "encoder": (MAJORITY, BASE, "head", "bitfit", "lora", "full"),
    "labels": (MAJORITY, BASE, "few_shot", "head", "lora", "full"),
    "text": (BASE, "few_shot", "prompt", "lora", "full"),
}
"""Where the recipe names none: of an encoder with labels, of a language model with labels, and of one that writes. The quickest come first."""


def known_arms() -> dict[str, list[str]]:
    """Name -> changes of the recipe, as on the command line."""
    methods = [*registry.names("method"), *METHOD_OVERLAYS]
    return {BASE: [], MAJORITY: [], **_IN_CONTEXT, **{name: [f"method={name}"] for name in methods}}


def arms_of(recipe: Recipe, *, is_generative: bool) -> dict[str, list[str]]:
    """The recipe's arms, or the usual ones for its data and model.

    Args:
        is_generative: whether the model goes on with a text.
    Raises: RecipeError, for an arm that is not known, or that cannot apply.
    """
    data, known = prepare_data(recipe), known_arms()
    is_labelled = isinstance(data.train[0], Labelled) and not data.sets
    usual = ("labels" if is_generative else "encoder") if is_labelled else "text"
    found = dict[str, list[str]]()
    for name, changes in (recipe.arms or dict.fromkeys(_USUAL[usual], None)).items():
        if changes is None and name not in known:
            raise RecipeError(
                f"{recipe.name}: arms: {name} is not known.{did_you_mean(name, known)} Of your own, say what it changes: {{{name}: [method=lora, method.r=64]}}."
            )
        found[name] = known[name] if changes is None else changes
    _check(recipe, found, data, is_labelled=is_labelled)
    return found


def _check(recipe: Recipe, arms: Mapping[str, Sequence[str]], data: PreparedData, *, is_labelled: bool) -> None:
    if len(arms) < 2:
        raise RecipeError(f"{recipe.name}: arms: a comparison needs two arms or more, found {', '.join(arms) or 'none'}.")
    if MAJORITY in arms and not is_labelled:
        raise RecipeError(f"{recipe.name}: arms: majority is for labels, and the rows of {recipe.data.named} have none. Leave it out.")
    if not data.test:
        raise RecipeError(f"{recipe.name}: there are no test rows to compare the arms on. Set data.split.test.")
    for name, changes in arms.items():
        if changes or name not in (BASE, MAJORITY):
            arm_recipe(recipe, name, changes)  # a mistake is told before anything runs


def arm_recipe(recipe: Recipe, name: str, changes: Sequence[str]) -> Recipe:
    """The recipe of an arm. Raises: RecipeError, for changes that do not go with it."""
    own = {**parse_yaml(dump(recipe), recipe.name), "arms": None, "budget": None}
    try:
        return from_mapping(own, name=recipe.name, where=f"{recipe.name}: arms.{name}", overrides=changes)
    except RecipeError as error:
        said = str(error).removeprefix("command line: ")
        raise RecipeError(said if said.startswith(f"{recipe.name}: arms.") else f"{recipe.name}: arms.{name}: {said}") from None
