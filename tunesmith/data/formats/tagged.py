"""tagged: words, and a tag for each (entities, parts of speech)."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin, Tagged
from tunesmith.data.formats._columns import TAGS, WORDS, choose
from tunesmith.data.formats._values import list_in, words_in
from tunesmith.data.labels import raw_label
from tunesmith.data.table import shown

__all__ = ["TaggedFormat"]


@dataclass(frozen=True, kw_only=True)
class TaggedFormat:
    """Columns words (or tokens) and tags (or ner_tags, pos_tags): lists of the same length, or their JSON texts."""

    roles: ClassVar[tuple[str, ...]] = ("words", "tags")
    required: ClassVar[tuple[str, ...]] = ("words", "tags")

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is exactly one."""
        found = {"words": choose(WORDS, columns, given.values()), "tags": choose(TAGS, columns, given.values())}
        return {**{role: name for role, name in found.items() if name}, **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is one column of words and one of tags."""
        return set(self.required) <= set(self.locate(columns, {}))

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Tagged:
        """Raises: DataError, naming the row, where a list is missing or empty, or there is not one tag a word."""
        where = f"{origin.file}:{origin.row}"
        words = words_in(record, columns["words"], origin)
        column = columns["tags"]
        tags = list_in(record, column, where)
        for tag in tags:
            if isinstance(tag, bool) or not isinstance(tag, str | int) or raw_label(tag) == "":
                raise DataError(f'{where}: the column "{column}" holds {shown(tag)} as a tag, expected its name or number.')
        if len(tags) != len(words):
            raise DataError(f"{where}: {len(words)} words and {len(tags)} tags. Each word needs one tag.")
        return Tagged(words, tuple(raw_label(tag) for tag in tags), origin)
