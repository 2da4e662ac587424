"""messages: conversations as lists of {"role": ..., "content": ...}, in a column `messages` (a list, or its JSON text)."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.types import Chat, Origin
from tunesmith.data.formats._columns import MESSAGES, are_liked_or_not, choose, is_judged
from tunesmith.data.formats._conversations import chat_of, messages_in, tools_in

__all__ = ["MessagesFormat"]


@dataclass(frozen=True, kw_only=True)
class MessagesFormat:
    """A column messages, beside it perhaps tools; the assistant's turns, calls of tools among them, are what is learned, but for those with
    `"weight": 0` (OpenAI's key).
    """

    roles: ClassVar[tuple[str, ...]] = ("messages", "tools")
    required: ClassVar[tuple[str, ...]] = ("messages",)

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is one."""
        found = {"messages": choose(MESSAGES, columns, given.values()), "tools": choose(("tools",), columns, given.values())}
        return {**{role: name for role, name in found.items() if name}, **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is a column messages."""
        return "messages" in self.locate(columns, {}) and not is_judged(columns)

    def suits(self, records: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> bool:
        """Whether the conversations are not judged beside."""
        return not are_liked_or_not(records)

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Chat:
        """Raises: DataError, naming the row, where it is no conversation, or holds no answer to learn."""
        return chat_of(messages_in(record, columns["messages"], origin), origin, tools_in(record, columns.get("tools"), origin))
