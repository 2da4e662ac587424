"""Texts as vectors of a model that nothing was tuned of."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.app.judging import embed
from tunesmith.app.tuned import load_untuned
from tunesmith.core import registry
from tunesmith.core.types import Labelled, Origin
from tunesmith.data.checks.shift import Vectors
from tunesmith.recipe import from_mapping

__all__ = ["text_vectors"]

_HERE = Origin("text", 1)


def text_vectors(model: str) -> Vectors:
    """A function that makes vectors of texts, shape (texts, H): the mean of the model's last hidden states. Raises: ModelError, FetchError."""
    recipe = from_mapping({"model": model, "data": {"train": "none"}}, name="embed")
    speaker = load_untuned(recipe, registry.create("objective", "classify"), "classification", "text")

    def vectors(texts: Sequence[str]) -> "np.ndarray[Any, np.dtype[np.float64]]":
        made = embed(speaker, [Labelled(text, None, _HERE) for text in texts])
        return np.asarray(made.double().numpy())

    return vectors
