"""`evaluate.judge`: a model that says which answers are better."""

from typing import ClassVar

from pydantic import Field, field_validator

from tunesmith.recipe.endpoints import checked_model
from tunesmith.recipe.section import Positive, Section

__all__ = ["JudgeSpec"]


class JudgeSpec(Section):
    """A model that says of each pair of answers, base and tuned, which is better. A plain text is the model (docs/judging.md)."""

    shorthand: ClassVar[str | None] = "model"

    model: str = Field(min_length=1)
    """`openai:NAME@URL`, a model behind an endpoint of OpenAI's kind, or a model on this machine: an alias, a hub id, a folder, `run:ID`."""
    limit: Positive = 100
    """The most pairs; each is asked in both orders."""
    requests_per_minute: Positive | None = None
    """The most that an endpoint is sent; null: as fast as it answers."""

    @field_validator("model")
    @classmethod
    def _has_an_address(cls, value: str) -> str:
        return checked_model(value)
