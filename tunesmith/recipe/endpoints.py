"""A model behind an endpoint, as a recipe writes it."""

import re

from tunesmith.core.addresses import ENDPOINT_PREFIX, is_endpoint
from tunesmith.recipe.messages import shown

__all__ = ["checked_model"]


def checked_model(value: str) -> str:
    """The value. Raises: ValueError, where it begins as a model behind an endpoint does, and is none."""
    if is_endpoint(value) and not re.fullmatch(rf"{ENDPOINT_PREFIX}\S.*@https?://\S+", value):
        raise ValueError(
            f"expected {ENDPOINT_PREFIX}NAME@URL, such as {ENDPOINT_PREFIX}my-model@http://localhost:8000/v1, found {shown(value)}."
        )
    return value
