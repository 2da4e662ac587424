"""messages: conversations as lists of {"role": ..., "content": ...}, in a column `messages` (a list, or its JSON text)."""

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Chat, Message, Origin
from tunesmith.data.formats._columns import MESSAGES, choose
from tunesmith.data.table import shown

__all__ = ["MessagesFormat"]

_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, kw_only=True)
class MessagesFormat:
    """A column messages; the assistant's turns are what is learned."""

    roles: ClassVar[tuple[str, ...]] = ("messages",)
    required: ClassVar[tuple[str, ...]] = ("messages",)

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of the role, where there is one."""
        name = given.get("messages") or choose(MESSAGES, columns, ())
        return {"messages": name} if name else {}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is a column messages."""
        return "messages" in self.locate(columns, {})

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Chat:
        """Raises: DataError, naming the row, where it is no conversation, or holds no answer to learn."""
        where, column = f"{origin.file}:{origin.row}", columns["messages"]
        value = record.get(column)
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
        if not any(message.role == "assistant" for message in messages):
            raise DataError(
                f"{where}: no message of the assistant, so nothing to learn. Roles found: {', '.join(message.role for message in messages)}."
            )
        return Chat(messages, origin)


def _message(item: Any, where: str, number: int) -> Message:
    if not isinstance(item, Mapping) or "role" not in item or "content" not in item:
        raise DataError(f'{where}: message {number} is {shown(item)}, expected {{"role": "user", "content": "..."}}.')
    role, content = item["role"], item["content"]
    if role not in _ROLES:
        raise DataError(f"{where}: message {number} has the role {shown(role)}. Known: {', '.join(_ROLES)}.")
    if not isinstance(content, str):
        raise DataError(f"{where}: message {number} holds {shown(content)} ({type(content).__name__}), expected text.")
    if role == "assistant" and not content.strip():
        raise DataError(f"{where}: message {number} of the assistant is empty. Write it or remove the row.")
    return Message(role, content)
