"""multilabel: a text, or two, and a list of the names of its classes, which may be empty."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import MultiLabelled, Origin
from tunesmith.data.formats._columns import LABELS, is_list, listed, locate_texts, text_in
from tunesmith.data.labels import raw_label
from tunesmith.data.table import Record, cell, shown

__all__ = ["MultiLabelFormat"]


@dataclass(frozen=True, kw_only=True)
class MultiLabelFormat:
    """Columns text and labels, and text_pair where two texts are judged together. Recognised where the labels are lists, or JSON texts of lists.

    With `data.format: multilabel` a plain text, too, is read as labels, parted by commas.
    """

    roles: ClassVar[tuple[str, ...]] = ("text", "labels", "text_pair")
    required: ClassVar[tuple[str, ...]] = ("text", "labels")

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, as far as it is clear."""
        return locate_texts(columns, given, "labels", LABELS)

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is one text and one label."""
        return set(self.required) <= set(self.locate(columns, {}))

    def suits(self, records: Sequence[Record], columns: Mapping[str, str]) -> bool:
        """Whether the first labels are a list."""
        return is_list(records[0].get(columns["labels"]))

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> MultiLabelled:
        """The example with its labels as the file has them, each once. Raises: DataError, naming the row."""
        text = text_in(record, columns["text"], origin)
        pair = text_in(record, columns["text_pair"], origin) if "text_pair" in columns else None
        where, column = f"{origin.file}:{origin.row}", columns["labels"]
        value = cell(record.get(column))
        if value is None:
            raise DataError(
                f'{where}: the column "{column}" is missing or empty. Write its labels, [] where there are none, or remove the row.'
            )
        if isinstance(value, str):
            value = listed(value, where, column, "labels") if is_list(value) else [part for part in value.split(",") if part.strip()]
        items = list(value) if isinstance(value, list | tuple) else [value]
        for item in items:
            if isinstance(item, bool) or not isinstance(item, str | int | float) or raw_label(item) == "":
                raise DataError(f'{where}: the column "{column}" holds {shown(item)} as a label, expected the name or number of a class.')
        return MultiLabelled(text, tuple(dict.fromkeys(raw_label(item) for item in items)), origin, pair)
