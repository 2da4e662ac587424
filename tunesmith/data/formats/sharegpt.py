"""sharegpt: conversations as lists of {"from": "human" or "gpt", "value": ...}, in a column `conversations`, beside it perhaps `system`."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Chat, Message, Origin
from tunesmith.data.formats._columns import CONVERSATIONS, are_liked_or_not, choose, is_empty, is_judged, text_in
from tunesmith.data.formats._conversations import SHAREGPT, chat_of, messages_in, tools_in

__all__ = ["ShareGPTFormat"]


@dataclass(frozen=True, kw_only=True)
class ShareGPTFormat:
    """A column conversations; the turns of `gpt`, and those of `function_call`, are what is learned. Source: LLaMA-Factory's and FastChat's documentation of their data."""

    roles: ClassVar[tuple[str, ...]] = ("conversations", "system", "tools")
    required: ClassVar[tuple[str, ...]] = ("conversations",)

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is one."""
        found = {
            "conversations": choose(CONVERSATIONS, columns, ()),
            "system": choose(("system",), columns, given.values()),
            "tools": choose(("tools",), columns, given.values()),
        }
        return {**{role: name for role, name in found.items() if name}, **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is a column conversations."""
        return "conversations" in self.locate(columns, {}) and not is_judged(columns)

    def turns(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> tuple[Message, ...]:
        """Every turn, the system message first. Raises: DataError, naming the row."""
        messages = messages_in(record, columns["conversations"], origin, SHAREGPT)
        if "system" not in columns or is_empty(record.get(columns["system"])):
            return messages
        if messages[0].role == "system":
            raise DataError(f"{origin.file}:{origin.row}: a system message in the conversation and one beside it. Leave one out.")
        return (Message("system", text_in(record, columns["system"], origin)), *messages)

    def suits(self, records: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> bool:
        """Whether the conversations are not judged beside."""
        return not are_liked_or_not(records)

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Chat:
        """Raises: DataError, naming the row, where it is no conversation, or holds no answer to learn."""
        return chat_of(self.turns(record, origin, columns), origin, tools_in(record, columns.get("tools"), origin))
