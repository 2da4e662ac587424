"""segments: a text in parts, each learned or only read, as the model is to see it: `segments`, a list of {"label": true or false, "text": ...}."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Marked, Origin
from tunesmith.data.formats._columns import check_characters, listed
from tunesmith.data.table import listed_names, shown

__all__ = ["SegmentsFormat"]


@dataclass(frozen=True, kw_only=True)
class SegmentsFormat:
    """A column segments; no template is put around the parts, and the special tokens are those that they spell.

    Source: axolotl's documentation, "Template-free prompt construction" (type: input_output).
    """

    roles: ClassVar[tuple[str, ...]] = ("segments",)
    required: ClassVar[tuple[str, ...]] = ("segments",)

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column segments."""
        return {**({"segments": "segments"} if "segments" in columns else {}), **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is a column segments."""
        return "segments" in columns

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Marked:
        """Raises: DataError, naming the row, where a part has no text or no label, or no part is learned."""
        where, column = f"{origin.file}:{origin.row}", columns["segments"]
        if column not in record:
            raise DataError(f'{where}: no column "{column}". Found: {listed_names(record)}.')
        value = listed(record[column], where, column, "segments")
        wanted = '{"label": true, "text": "..."}'
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise DataError(f'{where}: the column "{column}" holds {shown(value)}, expected a list of {wanted}.')
        parts = list[tuple[str, bool]]()
        for number, item in enumerate(value, start=1):
            text, label = (item.get("text"), item.get("label")) if isinstance(item, Mapping) else (None, None)
            if not isinstance(text, str) or not isinstance(label, bool):
                raise DataError(f"{where}: segment {number} is {shown(item)}, expected {wanted}.")
            check_characters(text, f"{where}: segment {number}")
            if text:
                parts.append((text, label))
        if not any(learned and text.strip() for text, learned in parts):
            raise DataError(f'{where}: no segment with a text has "label": true, so nothing to learn. Mark one, or remove the row.')
        return Marked(tuple(parts), origin)
