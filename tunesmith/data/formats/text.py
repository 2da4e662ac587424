"""text: raw text, for continued pretraining."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.types import Origin, Text
from tunesmith.data.formats._columns import CONVERSATIONS, LABELS, MESSAGES, PAIRS, choose, text_in

__all__ = ["TextFormat"]


@dataclass(frozen=True, kw_only=True)
class TextFormat:
    """A column of text."""

    roles: ClassVar[tuple[str, ...]] = ("text",)
    required: ClassVar[tuple[str, ...]] = ("text",)

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, as far as it is clear."""
        text = given.get("text") or choose(("text",), columns, ())
        return {"text": text} if text else {}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is a text, and nothing that another format would learn from it."""
        others = {*LABELS, *MESSAGES, *CONVERSATIONS} & columns or any(set(pair) <= columns for pair in PAIRS)
        return "text" in columns and not others

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Text:
        """Raises: DataError, naming the row, where the text is missing or empty."""
        return Text(text_in(record, columns["text"], origin), origin)
