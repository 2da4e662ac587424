"""Networks that a recipe describes, made anew for its texts or rows."""

from collections.abc import Sequence
from pathlib import Path

from tunesmith.app.vocabulary import learned_tokenizer
from tunesmith.core import registry
from tunesmith.core.types import Example
from tunesmith.model._folder import folder_sha256
from tunesmith.model.architecture import make_new
from tunesmith.model.source import SourceInfo, drawn
from tunesmith.recipe import Recipe

__all__ = ["made_anew"]


def made_anew(recipe: Recipe, examples: Sequence[Example], saved: Path | None = None, *, is_untuned: bool = False) -> SourceInfo:
    """The network that the recipe describes: as a run of it saved it, or made anew.

    Args:
        is_untuned: whether the weights are drawn again that the run began with; what it saved says the sizes and the tokens.
    """
    spec = recipe.model.architecture
    assert spec is not None
    if saved is not None:
        found = SourceInfo(recipe.model.source, "new", saved, folder_sha256(saved), origin="made anew from the recipe")
        return drawn(found, recipe.seed) if is_untuned else found
    reads_text = getattr(registry.load("architecture", spec.name), "reads_text", False)
    return make_new(spec.name, spec.options, examples, recipe.seed, learned_tokenizer(recipe, examples) if reads_text else None)
