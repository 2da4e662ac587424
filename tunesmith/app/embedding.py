"""Texts as vectors of a model that nothing was tuned of."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.app.judging import embed
from tunesmith.app.machine import choose_device
from tunesmith.app.placing import place
from tunesmith.app.task import load_model, text_encoder
from tunesmith.app.tuned import Tuned
from tunesmith.core import registry
from tunesmith.core.types import Labelled, Objective, Origin
from tunesmith.data.checks.shift import Vectors
from tunesmith.engine.forward import PackedForward
from tunesmith.recipe import from_mapping

__all__ = ["text_vectors"]

_HERE = Origin("text", 1)


def text_vectors(model: str) -> Vectors:
    """A function that makes vectors of texts, shape (texts, H): the mean of the model's last hidden states. Raises: ModelError, FetchError."""
    recipe = from_mapping({"model": model, "data": {"train": "none"}}, name="embed")
    objective: Objective = registry.create("objective", "classify")
    loaded = load_model(recipe, objective, lambda event: None)
    paths, _ = place(loaded, recipe, choose_device(recipe.engine.device), is_frozen=True)
    forward = PackedForward(loaded.trunk, {}, loaded.facts, paths)
    speaker = Tuned(
        recipe,
        loaded,
        forward.eval(),
        text_encoder(recipe, loaded, ()),
        (),
        recipe.engine.micro_batch_tokens,
        "classification",
        "text",
        objective,
    )

    def vectors(texts: Sequence[str]) -> "np.ndarray[Any, np.dtype[np.float64]]":
        made = embed(speaker, [Labelled(text, None, _HERE) for text in texts])
        return np.asarray(made.double().numpy())

    return vectors
