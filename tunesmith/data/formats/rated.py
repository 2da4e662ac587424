"""rated: a text, or two, and a number that is a quantity (a score, a similarity), not a class."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin, Rated
from tunesmith.data.formats._columns import LABELS, SCORES, choose, is_empty, locate_texts, text_in
from tunesmith.data.formats._values import are_quantities, number_of
from tunesmith.data.table import Record, cell, shown

__all__ = ["RatedFormat"]


@dataclass(frozen=True, kw_only=True)
class RatedFormat:
    """Columns text and value, and text_pair where two texts are judged together. Recognised where labels are fractions, or many numbers, and where two texts have a score."""

    roles: ClassVar[tuple[str, ...]] = ("text", "value", "text_pair")
    required: ClassVar[tuple[str, ...]] = ("text", "value")

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, as far as it is clear: of the value a label's, or a score's where there is none."""
        value = given.get("value") or (None if set(LABELS) & set(columns) else choose(SCORES, columns, given.values()))
        return locate_texts(columns, {**given, **({"value": value} if value else {})}, "value", LABELS)

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is one text and one label, or two texts and one score; a score beside a single text may say anything of it."""
        found = self.locate(columns, {})
        return set(self.required) <= set(found) and (found["value"] in LABELS or "text_pair" in found)

    def suits(self, records: Sequence[Record], columns: Mapping[str, str]) -> bool:
        """Whether the column is one of scores, or its labels are numbers that name no classes."""
        if columns["value"] in SCORES:
            return all(number_of(record.get(columns["value"])) is not None for record in records[:1])
        return are_quantities([record.get(columns["value"]) for record in records])

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Rated:
        """Raises: DataError, naming the row, where something is missing, or the value is no finite number."""
        text = text_in(record, columns["text"], origin)
        pair = text_in(record, columns["text_pair"], origin) if "text_pair" in columns else None
        where, column = f"{origin.file}:{origin.row}", columns["value"]
        if is_empty(cell(record.get(column))):
            raise DataError(f'{where}: the column "{column}" is empty. Write its number or remove the row.')
        value = number_of(record[column])
        if value is None:
            raise DataError(f'{where}: the column "{column}" holds {shown(record[column])}, expected a number.')
        return Rated(text, value, origin, pair)
