"""Records whose answer is to be predicted: read like the training data, without the answer."""

from collections.abc import Mapping
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.types import Completion, Example, Labelled, Message, Origin, Prompt, Text
from tunesmith.data.formats._columns import PAIRS, TEXTS, text_in

__all__ = ["example_to_predict"]

_USUAL = {
    "text": TEXTS,
    "text_pair": ("text_pair", "sentence2", "hypothesis"),
    "source": tuple(pair[0] for pair in PAIRS),
    "prompt": ("prompt", "text"),
}


def example_to_predict(record: Mapping[str, Any], origin: Origin, *, format: str, columns: Mapping[str, str]) -> Example:
    """An example without its answer.

    Args:
        format: what the training data was read as. `columns`: role -> column, as the recipe says; usual names, or a column that stands
            alone, do too.
    Raises: DataError, naming row and columns, where the text is not found or empty.
    """

    def text_of(role: str) -> str:
        return text_in(record, _column(record, role, columns, origin), origin)

    if format == "labelled":
        pair = text_of("text_pair") if "text_pair" in columns or "text_pair" in record else None
        return Labelled(text_of("text"), None, origin, pair)
    if format == "pairs":
        return Completion(text_of("source"), "", origin)
    if format == "text":
        return Text(text_of("text"), origin)
    messages = record.get(columns.get("messages", "messages"))
    if isinstance(messages, list):
        return Prompt(tuple(Message(m["role"], m["content"]) for m in messages), origin)
    return Prompt((Message("user", text_of("prompt")),), origin)


def _column(record: Mapping[str, Any], role: str, columns: Mapping[str, str], origin: Origin) -> str:
    given = columns.get(role)
    found = [name for name in ((given,) if given else _USUAL[role]) if name in record] or (list(record) if len(record) == 1 else [])
    if not found:
        wanted = f'"{given}"' if given else " or ".join(f'"{name}"' for name in _USUAL[role][:2])
        raise DataError(
            f"{origin.file}:{origin.row}: no column {wanted}. Found: {', '.join(map(str, record)) or 'nothing'}. Rename the column to predict from."
        )
    return found[0]
