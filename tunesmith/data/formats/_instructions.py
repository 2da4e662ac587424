"""What an instruction asks, with its input, a system message and earlier turns."""

from collections.abc import Mapping
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.types import Message, Origin
from tunesmith.data.formats._columns import check_characters, is_empty, listed, text_in
from tunesmith.data.table import shown

__all__ = ["asked"]


def asked(record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> tuple[Message, ...]:
    """Everything before the output: the system message, the earlier turns, and the instruction with its input. Raises: DataError, naming the row."""

    def optional(role: str) -> str | None:
        column = columns.get(role)
        return None if column is None or is_empty(record.get(column)) else text_in(record, column, origin)

    system, given = optional("system"), optional("input")
    question = text_in(record, columns["instruction"], origin) + (f"\n{given}" if given else "")
    before = (Message("system", system),) if system else ()
    return (*before, *_history(record, origin, columns), Message("user", question))


def _history(record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> list[Message]:
    column, where = columns.get("history"), f"{origin.file}:{origin.row}"
    if column is None or is_empty(record.get(column)):
        return []
    found = listed(record[column], where, column, "[question, answer]")
    turns = list[Message]()
    for number, pair in enumerate(found if isinstance(found, list | tuple) else [found], start=1):
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise DataError(
                f'{where}: the column "{column}" holds {shown(pair)} at place {number}, expected [question, answer], both of them text.'
            )
        check_characters("".join(pair), f'{where}: the column "{column}"')
        turns += [Message("user", pair[0]), Message("assistant", pair[1])]
    return turns
