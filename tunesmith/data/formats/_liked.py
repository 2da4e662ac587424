"""What the formats of judged answers share: prompts and answers as text or as messages, and conversations in one text."""

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, Literal

from tunesmith.core.errors import DataError
from tunesmith.core.types import Message, Origin
from tunesmith.data.formats._columns import is_empty, text_in
from tunesmith.data.formats._conversations import messages_in

__all__ = ["asked_turns", "completion_of", "dialogue", "message_list", "shared_turns", "with_system"]

_TURN = re.compile(r"\n\n(Human|Assistant):[ ]?")
_DIALOGUE_ROLES: dict[str, Literal["user", "assistant"]] = {"Human": "user", "Assistant": "assistant"}


def message_list(record: Mapping[str, Any], column: str, origin: Origin, role: Literal["user", "assistant"]) -> tuple[Message, ...]:
    """A column's messages: a text is one of `role`; one message, a list of them, or OpenAI's `{"messages": [...]}`, in either spelling.

    Raises: DataError, naming the row.
    """
    value = record.get(column)
    if isinstance(value, Mapping) and "messages" in value:
        if value.get("tools"):
            raise DataError(f'{origin.file}:{origin.row}: the column "{column}" names tools, which are not read yet. Leave the row out.')
        value = value["messages"]
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list | tuple):
        return (Message(role, text_in(record, column, origin)),)
    return messages_in({column: value}, column, origin)


def asked_turns(record: Mapping[str, Any], column: str, origin: Origin) -> tuple[Message, ...]:
    """A prompt: a text, messages, or a dialogue in one text, which may end where the answer begins. Raises: DataError, naming the row."""
    turns = message_list(record, column, origin, "user")
    turns = (dialogue(turns[0].content) if len(turns) == 1 else ()) or turns
    return turns[:-1] if turns[-1] == Message("assistant", "") else turns


def with_system(prompt: tuple[Message, ...], record: Mapping[str, Any], columns: Mapping[str, str], origin: Origin) -> tuple[Message, ...]:
    """The prompt behind the system message that stands beside it, where one does. Raises: DataError, where it has one of its own."""
    if "system" not in columns or is_empty(record.get(columns["system"])):
        return prompt
    if prompt[0].role == "system":
        raise DataError(f"{origin.file}:{origin.row}: a system message in the prompt and one beside it. Leave one out.")
    return (Message("system", text_in(record, columns["system"], origin)), *prompt)


def completion_of(messages: Sequence[Message], origin: Origin, column: str) -> tuple[Message, ...]:
    """Messages that are an answer. Raises: DataError, where they do not end with one of the assistant's, or it is empty."""
    if not messages or messages[-1].role != "assistant" or not messages[-1].content.strip():
        raise DataError(f'{origin.file}:{origin.row}: the column "{column}" does not end with an answer of the assistant.')
    return tuple(messages)


def dialogue(text: str) -> tuple[Message, ...]:
    """A conversation in one text: turns begin with an empty line and `Human:` or `Assistant:`; empty where the text is none.

    Source: Bai et al. (2022), https://arxiv.org/abs/2204.05862, the published data hh-rlhf.
    """
    parts = _TURN.split(text if text.startswith("\n\n") else f"\n\n{text}")
    if parts[0].strip() or len(parts) < 3:
        return ()
    return tuple(Message(_DIALOGUE_ROLES[role], content.strip()) for role, content in zip(parts[1::2], parts[2::2], strict=True))


def shared_turns(one: Sequence[Message], other: Sequence[Message]) -> int:
    """How many turns two conversations begin with in common, but for a last one of either."""
    pairs = zip(one[:-1], other[:-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
