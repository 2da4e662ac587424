"""Data that is measured and never trained on, in a recipe."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from tunesmith.recipe.messages import shown
from tunesmith.recipe.plugins import FormatName
from tunesmith.recipe.section import Names, Positive, Section
from tunesmith.recipe.sources import Source

__all__ = ["DomainSpec", "RetentionSets", "RetentionSpec"]


class DomainSpec(Section):
    """Other data to measure on, never to train on. A plain text is the source. One whose labels are not the training data's is left out, said so."""

    shorthand: ClassVar[str | None] = "source"

    source: Source
    """As `data.train`."""
    columns: Names = Field(default_factory=dict)
    """As `data.columns`."""
    labels: Names | None = None
    """As `data.labels`."""
    format: FormatName | None = None
    """As `data.format`."""
    limit: Positive | None = None
    """The most rows to use."""


class RetentionSpec(Section):
    """Texts, pairs or conversations that the model is not to forget. A plain text is the source."""

    shorthand: ClassVar[str | None] = "source"

    source: Source
    """As `data.train`."""
    columns: Names = Field(default_factory=dict)
    """As `data.columns`."""
    format: FormatName | None = None
    """As `data.format`."""
    limit: Positive = 100
    """The most rows to use."""


def _by_name(value: Any) -> Any:
    """`[a, b]` as `{a: a, b: b}`, nothing as none."""
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return {item: item for item in value}
    if not isinstance(value, Mapping) and value not in ("auto", "none"):
        raise ValueError(f"expected auto, none, a list of sources, or {{NAME: SOURCE, ...}}, found {shown(value)}.")
    return value


RetentionSets = Annotated[dict[str, RetentionSpec] | Literal["auto", "none"], BeforeValidator(_by_name)]
"""auto, none, or the sets by name."""
