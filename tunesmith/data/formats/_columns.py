"""What the formats share: usual names of columns, and reading a text out of a record."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.types import Message, Origin
from tunesmith.data.table import cell, shown

__all__ = ["LABELS", "MESSAGES", "PAIRS", "SECOND_TEXTS", "TEXTS", "choose", "messages_in", "text_in"]

TEXTS = ("text", "sentence", "sentence1", "premise")
SECOND_TEXTS = ("text_pair", "sentence2", "hypothesis")
LABELS = ("label", "labels", "class", "category", "sentiment")
PAIRS = (("source", "target"), ("prompt", "completion"), ("question", "answer"), ("input", "output"), ("instruction", "output"))
MESSAGES = ("messages",)
_ROLES = ("system", "user", "assistant")


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
    _check_characters(value, f'{where}: the column "{column}"')
    return value


def messages_in(record: Mapping[str, Any], column: str, origin: Origin) -> tuple[Message, ...]:
    """The conversation in a column: a list of messages, or its JSON text. Raises: DataError, naming the row, where it is none."""
    where = f"{origin.file}:{origin.row}"
    if column not in record:
        raise DataError(f'{where}: no column "{column}". Found: {", ".join(map(str, record)) or "nothing"}.')
    value = record[column]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise DataError(f'{where}: the column "{column}" is no JSON ({error}), expected a list of messages.') from None
    if not isinstance(value, list | tuple) or not value:
        raise DataError(f'{where}: the column "{column}" holds {shown(value)}, expected a list of {{"role": ..., "content": ...}}.')
    messages = tuple(_message(item, where, number) for number, item in enumerate(value, start=1))
    if any(message.role == "system" for message in messages[1:]):
        raise DataError(f"{where}: a system message after the first. Only the first may be one.")
    return messages


def _message(item: Any, where: str, number: int) -> Message:
    if not isinstance(item, Mapping) or "role" not in item or "content" not in item:
        raise DataError(f'{where}: message {number} is {shown(item)}, expected {{"role": "user", "content": "..."}}.')
    role, content = item["role"], item["content"]
    if role not in _ROLES:
        raise DataError(f"{where}: message {number} has the role {shown(role)}. Known: {', '.join(_ROLES)}.")
    if not isinstance(content, str):
        raise DataError(f"{where}: message {number} holds {shown(content)} ({type(content).__name__}), expected text.")
    _check_characters(content, f"{where}: message {number}")
    return Message(role, content)


def _check_characters(text: str, place: str) -> None:
    """JSON can spell half of a character, which no tokenizer takes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise DataError(f"{place} holds {half}, half of a character (a lone surrogate). Write the whole character, or remove it.") from None
