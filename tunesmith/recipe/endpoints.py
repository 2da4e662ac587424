"""A model behind an endpoint, as a recipe writes it, and what it cannot give."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tunesmith.core.addresses import ENDPOINT_PREFIX, is_endpoint
from tunesmith.recipe.messages import shown

if TYPE_CHECKING:
    from tunesmith.recipe.models import Recipe

__all__ = ["checked_model", "unanswerable"]


def checked_model(value: str) -> str:
    """The value. Raises: ValueError, where it begins as a model behind an endpoint does, and is none."""
    if is_endpoint(value) and not re.fullmatch(rf"{ENDPOINT_PREFIX}\S.*@https?://\S+", value):
        raise ValueError(
            f"expected {ENDPOINT_PREFIX}NAME@URL, such as {ENDPOINT_PREFIX}my-model@http://localhost:8000/v1, found {shown(value)}."
        )
    return value


def unanswerable(recipe: Recipe) -> tuple[str, str] | None:
    """The key of a recipe that asks its model behind an endpoint for what it cannot give, and why; None where none does."""
    model, context = shown(recipe.model.source), recipe.context
    why = f"{model} is behind an endpoint, and its weights are not here"
    if recipe.trains:
        cure = "Set method=none and context=few_shot (or zero_shot, retrieval), or name a model of this machine."
        return "method", f"{recipe.method.name} trains weights; {why}. {cure}"
    if context is not None and context.options.get("calibrate"):
        return "context", f"calibrate needs the probabilities of labels, which an endpoint does not give. Leave it out; {why}."
    if recipe.evaluate.retention not in ("auto", "none"):
        return "evaluate", "retention is measured by likelihoods, which an endpoint does not give, and nothing is trained. Leave it out."
    if recipe.rewards or recipe.evaluate.rewards:
        text = f"are of answers that a model of this machine draws. Leave them out; {why}."
        return ("rewards", text) if recipe.rewards else ("evaluate", f"rewards {text}")
    if recipe.data.chat_template is not None:
        return "data", f"chat_template is for a tokenizer of this machine. Leave it out; {why}."
    if recipe.budget_usd is not None and not recipe.model.is_priced:
        prices = "model.price_per_million_input and model.price_per_million_output"
        return "budget_usd", f"needs what {model} costs: set {prices} (0 where it is free)."
    return None
