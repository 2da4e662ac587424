"""What the formats share: usual names of columns, and reading a text out of a record."""

from collections.abc import Collection, Mapping
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin
from tunesmith.data.table import cell, shown

__all__ = ["LABELS", "MESSAGES", "PAIRS", "TEXTS", "choose", "text_in"]

TEXTS = ("text", "sentence", "sentence1", "premise")
LABELS = ("label", "labels", "class", "category", "sentiment")
PAIRS = (("source", "target"), ("prompt", "completion"), ("question", "answer"), ("input", "output"), ("instruction", "output"))
MESSAGES = ("messages",)


def choose(names: Collection[str], columns: Collection[str], taken: Collection[str]) -> str | None:
    """The one of `names` that is among `columns` and not `taken`; None where there is none, or several."""
    found = [name for name in names if name in columns and name not in taken]
    return found[0] if len(found) == 1 else None


def text_in(record: Mapping[str, Any], column: str, origin: Origin) -> str:
    """The text in a column. Raises: DataError, where it is missing, empty or no text."""
    where = f"{origin.file}:{origin.row}"
    if column not in record:
        raise DataError(f'{where}: no column "{column}". Found: {", ".join(map(str, record)) or "nothing"}.')
    value = cell(record[column])
    if value is None or (isinstance(value, str) and not value.strip()):
        raise DataError(f'{where}: the column "{column}" is empty. Write its text or remove the row.')
    if not isinstance(value, str):
        raise DataError(f'{where}: the column "{column}" holds {shown(value)} ({type(value).__name__}), expected text.')
    return value
