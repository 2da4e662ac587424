"""labelled: a text, or two, and the name of its class."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.types import Labelled, Origin
from tunesmith.data.formats._columns import LABELS, is_list, locate_texts, text_in
from tunesmith.data.formats._values import are_quantities, label_in
from tunesmith.data.table import Record

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
        return Labelled(text, label_in(record, columns["label"], origin), origin, pair)
