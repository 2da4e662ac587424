"""What the features of a datasets.Dataset say about its classes."""

from collections.abc import Mapping
from typing import Any

__all__ = ["class_names"]


def class_names(features: Any) -> Mapping[str, tuple[str, ...]]:
    """Column -> class names, for each column of ClassLabels, or of lists of them."""
    found = {}
    for name, feature in dict(features or {}).items():
        inner: Any = getattr(feature, "feature", feature)  # of a list: what it holds
        if type(inner).__name__ == "ClassLabel" and inner.names:
            found[name] = tuple(inner.names)
    return found
