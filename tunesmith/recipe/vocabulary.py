"""What a recipe says of the tokens of a model that is made anew."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tunesmith.recipe.section import Section

__all__ = ["VocabularySpec"]


class VocabularySpec(Section):
    """The tokens of a model that is made anew, learned from the training texts. A plain number is their number."""

    shorthand: ClassVar[str | None] = "size"

    size: Annotated[int, Field(ge=300)] = 8000
    """The most tokens, special ones included; fewer where the texts do not give as many."""
    of: Literal["pieces", "words"] = "pieces"
    """pieces: of words, by byte-level BPE, so that every text can be written; words: whole words that come twice or more, in small letters, others unknown."""
