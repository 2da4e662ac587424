"""How much of the data a recipe uses, and in what pieces."""

from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from tunesmith.recipe.section import Positive, Section

__all__ = ["Chunk", "Limit", "Split"]


class Limit(Section):
    """The most rows to use of each split. A plain number is the training split's."""

    shorthand: ClassVar[str | None] = "train"

    train: Positive | None = None
    """Training rows."""
    validation: Positive | None = None
    """Validation rows."""
    test: Positive | None = None
    """Test rows."""


class Split(Section):
    """What to hold out where the data has no split of its own: shares below 1, or numbers of rows."""

    validation: float = Field(default=0.1, ge=0)
    """Share or number of validation rows."""
    test: float = Field(default=0.2, ge=0)
    """Share or number of test rows."""
    stratified: bool = True
    """Hold out each label in proportion; false: by the texts alone, so that recipes that read the same rows in other formats hold out the same texts."""

    @field_validator("validation", "test")
    @classmethod
    def _share_or_rows(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise ValueError(f"expected a share below 1 or a whole number of rows, found {value:g}.")
        return value


class Chunk(Section):
    """How texts longer than the model are cut into windows, for raw text."""

    length: Annotated[int, Field(ge=2)] | None = None
    """The most tokens of a window; none: `model.max_length`."""
    overlap: Positive = 1
    """Tokens of the window before that a window begins with: read there, learned and measured once."""
