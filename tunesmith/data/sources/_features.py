"""What the features of a datasets.Dataset say about its classes."""

from collections.abc import Mapping
from typing import Any

__all__ = ["class_names"]


def class_names(features: Any) -> Mapping[str, tuple[str, ...]]:
    """Column -> class names, for each ClassLabel column."""
    return {
        name: tuple(feature.names)
        for name, feature in dict(features or {}).items()
        if type(feature).__name__ == "ClassLabel" and feature.names
    }
