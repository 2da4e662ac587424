"""messages: conversations as lists of {"role": ..., "content": ...}, in a column `messages` (a list, or its JSON text)."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.types import Chat, Origin
from tunesmith.data.formats._columns import MESSAGES, chat_of, choose, is_judged, messages_in

__all__ = ["MessagesFormat"]


@dataclass(frozen=True, kw_only=True)
class MessagesFormat:
    """A column messages; the assistant's turns are what is learned, but for those with `"weight": 0` (OpenAI's key)."""

    roles: ClassVar[tuple[str, ...]] = ("messages",)
    required: ClassVar[tuple[str, ...]] = ("messages",)

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of the role, where there is one."""
        name = given.get("messages") or choose(MESSAGES, columns, ())
        return {"messages": name} if name else {}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is a column messages."""
        return "messages" in self.locate(columns, {}) and not is_judged(columns)

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Chat:
        """Raises: DataError, naming the row, where it is no conversation, or holds no answer to learn."""
        return chat_of(messages_in(record, columns["messages"], origin), origin)
