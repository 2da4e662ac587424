"""Conversations out of records, in the two spellings that they are written in: OpenAI's and ShareGPT's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunesmith.core.errors import DataError
from tunesmith.core.types import Call, Chat, Message, Origin
from tunesmith.data.formats._columns import check_characters, is_empty, listed
from tunesmith.data.formats._learned import learned_parts
from tunesmith.data.table import listed_names, shown

__all__ = ["OPENAI", "SHAREGPT", "Spelling", "chat_of", "messages_in", "tools_in", "unread_keys"]

Role = Literal["system", "user", "assistant", "tool"]


_ROLE_KEYS = ("role", "from")
_CONTENT_KEYS = ("content", "value")
_CALL_KEYS = ("tool_calls", "function_call")
_PLAIN = (frozenset({"role", "content"}), frozenset({"from", "value"}))
_THOUGHTS = ("thinking", "reasoning_content", "reasoning")
_KEYS_READ = frozenset({*_ROLE_KEYS, *_CONTENT_KEYS, *_CALL_KEYS, *_THOUGHTS, "tool_call_id", "weight", "train", "train_detail"})
"""`train` and `train_detail` are axolotl's."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a message of a conversation is written, and asked for: the names of its two keys, and of the roles."""

    role: str
    content: str
    roles: Mapping[str, Role]
    call: str = ""
    """A role whose content is a call: a JSON object with the tool's name and the arguments."""


OPENAI = Spelling(
    "role",
    "content",
    {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool", "function": "tool"},
)
SHAREGPT = Spelling(
    "from",
    "value",
    {
        "system": "system",
        "human": "user",
        "user": "user",
        "gpt": "assistant",
        "assistant": "assistant",
        "function_call": "assistant",
        "observation": "tool",
        "tool": "tool",
    },
    call="function_call",
)
_ROLES = {**OPENAI.roles, **SHAREGPT.roles, "model": "assistant"}


def messages_in(record: Mapping[str, Any], column: str, origin: Origin, spelling: Spelling = OPENAI) -> tuple[Message, ...]:
    """The conversation in a column: a list of messages, or its JSON text. Raises: DataError, naming the row, where it is none."""
    where = f"{origin.file}:{origin.row}"
    if column not in record:
        raise DataError(f'{where}: no column "{column}". Found: {listed_names(record)}.')
    value = listed(record[column], where, column, "messages")
    if not isinstance(value, list | tuple) or not value:
        wanted = f'{{"{spelling.role}": ..., "{spelling.content}": ...}}'
        raise DataError(f'{where}: the column "{column}" holds {shown(value)}, expected a list of {wanted}.')
    messages = [_plain(item) or _message(item, where, number, spelling) for number, item in enumerate(value, start=1)]
    if "system" in [message.role for message in messages[1:]]:
        raise DataError(f"{where}: a system message after the first. Only the first may be one.")
    return tuple(messages)


def chat_of(messages: tuple[Message, ...], origin: Origin, tools: tuple[str, ...] = ()) -> Chat:
    """The conversation as an example. Raises: DataError, naming the row, where it holds no answer to learn, or an empty one."""
    is_answered = is_learned = False
    for number, message in enumerate(messages, start=1):
        if message.role != "assistant":
            continue
        is_answered, is_learned = True, is_learned or message.learned
        if not message.calls and (not message.content or message.content.isspace()):
            raise DataError(f"{_where(origin)}: message {number} of the assistant is empty. Write it or remove the row.")
    if not is_answered:
        roles = ", ".join(message.role for message in messages)
        raise DataError(f"{_where(origin)}: no message of the assistant, so nothing to learn. Roles found: {roles}.")
    if not is_learned:
        raise DataError(f"{_where(origin)}: every message of the assistant has the weight 0, so nothing to learn. Give one the weight 1.")
    return Chat(messages, origin, tools)


def _where(origin: Origin) -> str:
    return f"{origin.file}:{origin.row}"


def tools_in(record: Mapping[str, Any], column: str | None, origin: Origin) -> tuple[str, ...]:
    """What may be called, each as JSON text: a list of functions, or its JSON text; none where the column is missing or empty.

    Raises: DataError, naming the row, where something in it has no name.
    """
    where = f"{origin.file}:{origin.row}"
    if column is None or is_empty(record.get(column)) or record[column] == []:
        return ()
    value = listed(record[column], where, column, "tools")
    items = value if isinstance(value, list | tuple) else [value]
    for number, item in enumerate(items, start=1):
        function = item.get("function", item) if isinstance(item, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"].strip():
            wanted = '{"type": "function", "function": {"name": ..., "parameters": ...}}'
            raise DataError(f'{where}: the column "{column}" holds {shown(item)} as tool {number}, expected {wanted}.')
    texts = tuple(json.dumps(item, ensure_ascii=False, default=str) for item in items)
    check_characters("".join(texts), f'{where}: the column "{column}"')
    return texts


def unread_keys(record: Mapping[str, Any], located: Mapping[str, str]) -> tuple[str, ...]:
    """What messages hold that is not read: keys, each in words."""
    found = dict[str, None]()
    for role in ("messages", "conversations"):
        value = record.get(located.get(role, ""))
        for item in value if isinstance(value, list) else ():
            if not isinstance(item, Mapping) or item.keys() in _PLAIN:
                continue
            known = _KEYS_READ | ({"name"} if _ROLES.get(str(item.get("role"))) == "tool" else set())
            found.update(dict.fromkeys(f'the key "{key}" of messages' for key in item if key not in known and not is_empty(item[key])))
            if item.get("train") is True and _ROLES.get(str(item.get("role", item.get("from")))) != "assistant":
                found['"train": true of messages that are no answers'] = None
    return tuple(found)


def _message(item: Any, where: str, number: int, spelling: Spelling) -> Message:
    """A message in either spelling, whichever the conversation's is: data of the one is found with keys of the other."""
    keys = item if isinstance(item, Mapping) else {}
    role_key, content_key = (next((key for key in names if key in keys), "") for names in (_ROLE_KEYS, _CONTENT_KEYS))
    has_calls = any(not is_empty(keys.get(key)) for key in _CALL_KEYS)
    if not role_key or not (content_key or has_calls):
        user = next(name for name, role in spelling.roles.items() if role == "user")
        wanted = f'{{"{spelling.role}": "{user}", "{spelling.content}": "..."}}'
        raise DataError(f"{where}: message {number} is {shown(item)}, expected {wanted}.")
    written, place, calls = item[role_key], f"{where}: message {number}", tuple[Call, ...]()
    role = _ROLES.get(written) if isinstance(written, str) else None
    if role is None:
        raise DataError(f"{place} has the role {shown(written)}. Known: {', '.join(spelling.roles)}.")
    content = _content(item.get(content_key), place)
    if has_calls and role == "assistant":
        calls = _calls(item.get("tool_calls") or item["function_call"], place)
        content = content or ""
    if not isinstance(content, str):
        raise DataError(f"{place} holds {shown(content)} ({type(content).__name__}), expected text.")
    check_characters(content, place)
    if written == SHAREGPT.call:
        calls, content = _calls(listed(content, place, content_key, "calls"), place), ""
    learned, unlearned = _is_learned(item, place, role), tuple[tuple[int, int], ...]()
    if not is_empty(item.get("train_detail")):
        learned, unlearned = learned_parts(item["train_detail"], content, learned, place, role)
    name = item.get("name") if role == "tool" else None
    return Message(role, content, learned, calls, name if isinstance(name, str) else "", unlearned, _thought(item, place, role))


def _plain(item: Any) -> Message | None:
    """The message, where it is nothing but a role and a text of ASCII: most are, and there is nothing to look for in them."""
    if type(item) is not dict:
        return None
    keys = item.keys()
    names = ("role", "content") if keys == _PLAIN[0] else ("from", "value") if keys == _PLAIN[1] else None
    if names is None:
        return None
    written, content = item[names[0]], item[names[1]]
    if type(written) is not str or type(content) is not str or written == SHAREGPT.call or not content.isascii():
        return None
    role = _ROLES.get(written)
    return None if role is None else Message(role, content)


def _content(value: Any, place: str) -> Any:
    """What a message says; OpenAI's list of parts as one text. Raises: DataError, where a part is none."""
    if not isinstance(value, list | tuple) or not value or not all(isinstance(part, Mapping) and "type" in part for part in value):
        return value
    for part in value:
        if part["type"] != "text" or not isinstance(part.get("text"), str):
            raise DataError(f"{place} holds a part of the type {shown(part['type'])}; only text is read. Leave the row out.")
    return "".join(part["text"] for part in value)


def _calls(value: Any, place: str) -> tuple[Call, ...]:
    """Calls of tools, in OpenAI's form or as plain objects with name and arguments; the arguments as an object, or its JSON text."""
    items: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
    found = []
    for item in items:
        call = item.get("function", item) if isinstance(item, Mapping) else None
        name = call.get("name") if isinstance(call, Mapping) else None
        if not isinstance(call, Mapping) or not isinstance(name, str) or not name.strip():
            raise DataError(f'{place} calls {shown(item)}, expected a tool with "name" and "arguments".')
        arguments = call.get("arguments") or {}
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except (ValueError, RecursionError):
                raise DataError(f"{place} calls {name} with {shown(arguments)}, expected the arguments as a JSON object.") from None
        if not isinstance(arguments, Mapping):
            raise DataError(f"{place} calls {name} with {shown(arguments)}, expected the arguments as a JSON object.")
        text = json.dumps(arguments, ensure_ascii=False, default=str)
        check_characters(name + text, place)
        found.append(Call(name, text))
    return tuple(found)


def _thought(item: Mapping[str, Any], place: str, role: Role) -> str:
    """What an answer was thought out with, in a key of its own. Raises: DataError, where that is no text, or there are several."""
    keys = [key for key in _THOUGHTS if not is_empty(item.get(key))]
    if not keys:
        return ""
    thought = item[keys[0]]
    if any(item[key] != thought for key in keys) or role != "assistant":
        why = f"two different thoughts ({', '.join(keys)})" if role == "assistant" else f'a thought ("{keys[0]}"), which only an answer has'
        raise DataError(f"{place} has {why}. Keep one of them, of an answer.")
    if not isinstance(thought, str):
        raise DataError(f'{place} has the thought {shown(thought)} ("{keys[0]}"), expected text.')
    check_characters(thought, place)
    return thought


def _is_learned(item: Mapping[str, Any], place: str, role: Role) -> bool:
    """Whether a message is learned: not where its weight is 0, or `train` is false. Raises: DataError, for what would be left unlearned unseen."""
    weight, trained = item.get("weight"), item.get("train")
    if weight not in (None, 0, 1) or (weight is not None and role != "assistant"):
        raise DataError(f"{place} has the weight {shown(weight)}, expected 0 (read only) or 1 (learned), of an answer.")
    if trained not in (None, True, False):
        raise DataError(f'{place} has "train": {shown(trained)}, expected true or false.')
    return role != "assistant" or (weight != 0 and trained is not False)
