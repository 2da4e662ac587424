"""labelled: a text, or two, and the name of its class."""

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Labelled, Origin
from tunesmith.data.formats._columns import LABELS, check_characters, is_list, locate_texts, text_in
from tunesmith.data.formats._values import are_quantities
from tunesmith.data.labels import raw_label
from tunesmith.data.table import Record, cell, listed_names, shown

__all__ = ["LabelledFormat"]


@dataclass(frozen=True, kw_only=True)
class LabelledFormat:
    """Columns text and label, and text_pair where two texts are judged together."""

    roles: ClassVar[tuple[str, ...]] = ("text", "label", "text_pair")
    required: ClassVar[tuple[str, ...]] = ("text", "label")

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, as far as it is clear."""
        return locate_texts(columns, given, "label", LABELS)

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is one text and one label."""
        return set(self.required) <= set(self.locate(columns, {}))

    def suits(self, records: Sequence[Record], columns: Mapping[str, str]) -> bool:
        """Whether the labels are neither lists nor quantities."""
        return not is_list(records[0].get(columns["label"])) and not are_quantities([record.get(columns["label"]) for record in records])

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Labelled:
        """The example with its label as the file has it. Raises: DataError, naming the row, where something is missing."""
        text = text_in(record, columns["text"], origin)
        pair = text_in(record, columns["text_pair"], origin) if "text_pair" in columns else None
        where, column = f"{origin.file}:{origin.row}", columns["label"]
        if column not in record:
            raise DataError(f'{where}: no column "{column}". Found: {listed_names(record)}.')
        value = cell(record[column])
        if value is None or value == "":
            raise DataError(f'{where}: the column "{column}" is empty. Write its label or remove the row.')
        if isinstance(value, float) and not math.isfinite(value):
            raise DataError(f'{where}: the column "{column}" holds {value}, which is no class. Write its label or remove the row.')
        if not isinstance(value, str | int | float):
            raise DataError(
                f'{where}: the column "{column}" holds {shown(value)} ({type(value).__name__}), expected the name or number of a class.'
            )
        if isinstance(value, str):
            check_characters(value, f'{where}: the column "{column}"')
        return Labelled(text, raw_label(value), origin, pair)
