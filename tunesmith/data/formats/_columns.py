"""What the formats share: usual names of columns, and reading a text out of a record."""

import json
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal

from tunesmith.core.errors import DataError
from tunesmith.core.types import Chat, Message, Origin
from tunesmith.data.table import cell, listed_names, shown

__all__ = [
    "ANSWERS",
    "CHOICES",
    "CONVERSATIONS",
    "LABELS",
    "MESSAGES",
    "OPENAI",
    "PAIRS",
    "QUESTIONS",
    "SCORES",
    "SECOND_TEXTS",
    "SHAREGPT",
    "TAGS",
    "TEXTS",
    "WORDS",
    "Spelling",
    "chat_of",
    "check_characters",
    "choose",
    "is_alpaca",
    "is_choices",
    "is_empty",
    "is_judged",
    "is_list",
    "is_preference",
    "is_unpaired",
    "listed",
    "locate_texts",
    "messages_in",
    "text_in",
]

TEXTS = ("text", "sentence", "sentence1", "premise")
SECOND_TEXTS = ("text_pair", "sentence2", "hypothesis")
LABELS = ("label", "labels", "class", "category", "sentiment")
SCORES = ("score", "rating", "similarity_score", "value")
WORDS = ("words", "tokens")
TAGS = ("tags", "ner_tags", "pos_tags")
PAIRS = (("source", "target"), ("prompt", "completion"), ("question", "answer"), ("input", "output"), ("instruction", "output"))
MESSAGES = ("messages",)
CONVERSATIONS = ("conversations",)
QUESTIONS = ("question", "ctx")
CHOICES = ("choices", "endings", "options")
ANSWERS = ("answer", "answerKey", "label")
Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a message of a conversation is written: the names of its two keys, and of the roles."""

    role: str
    content: str
    roles: Mapping[str, Role]
    weight: str | None = None
    """A key that says of the assistant's messages whether they are learned: 0 or 1."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Roles that exist and are not read, and what they are."""


_TOOLS = "a tool's turn, which is not read yet"
OPENAI = Spelling(
    "role",
    "content",
    {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"},
    weight="weight",
    others={"tool": _TOOLS, "function": _TOOLS},
)
SHAREGPT = Spelling(
    "from",
    "value",
    {"system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"},
    others={"function_call": _TOOLS, "observation": _TOOLS, "tool": _TOOLS},
)


def choose(names: Collection[str], columns: Collection[str], taken: Collection[str]) -> str | None:
    """The one of `names` that is among `columns` and not `taken`; None where there is none, or several."""
    found = [name for name in names if name in columns and name not in taken]
    return found[0] if len(found) == 1 else None


def locate_texts(columns: Collection[str], given: Mapping[str, str], role: str, names: Collection[str]) -> dict[str, str]:
    """The columns of a text, of what is known of it (`role`, usually called one of `names`), and of a second text, as far as they are clear."""
    found = dict(given)
    for wanted, usual in (("text", TEXTS), (role, names), ("text_pair", SECOND_TEXTS)):
        name = found.get(wanted) or choose(usual, columns, found.values())
        if name:
            found[wanted] = name
    return found


def is_preference(columns: Set[str]) -> bool:
    """Whether there are two answers, of which one was liked better."""
    return {"chosen", "rejected"} <= columns or {"preferred_output", "non_preferred_output"} <= columns


def is_unpaired(columns: Set[str]) -> bool:
    """Whether there is one answer, and whether it was liked."""
    return "kto_tag" in columns or {"prompt", "completion", "label"} <= columns


def is_judged(columns: Set[str]) -> bool:
    """Whether there is a judgement of answers, not only an answer to learn."""
    return is_preference(columns) or is_unpaired(columns)


def is_alpaca(columns: Set[str]) -> bool:
    """Whether there is more than an instruction and its output, which are a pair."""
    return {"instruction", "output"} <= columns and not columns.isdisjoint({"input", "system", "history"}) and not is_judged(columns)


def is_choices(columns: Set[str]) -> bool:
    """Whether a question comes with answers to choose among, so that question and answer are no pair."""
    has_choices = not columns.isdisjoint(CHOICES) or {"A", "B"} <= columns
    return has_choices and not columns.isdisjoint(QUESTIONS) and not columns.isdisjoint(ANSWERS)


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing, or white space."""
    return value is None or (isinstance(value, str) and not value.strip())


def is_list(value: Any) -> bool:
    """Whether a cell holds a list, or the JSON text of one."""
    return isinstance(value, list | tuple) or (isinstance(value, str) and value.strip()[:1] == "[" and value.strip()[-1:] == "]")


def text_in(record: Mapping[str, Any], column: str, origin: Origin) -> str:
    """The text in a column. Raises: DataError, where it is missing, empty or no text."""
    where = f"{origin.file}:{origin.row}"
    if column not in record:
        raise DataError(f'{where}: no column "{column}". Found: {listed_names(record)}.')
    value = cell(record[column])
    if is_empty(value):
        raise DataError(f'{where}: the column "{column}" is empty. Write its text or remove the row.')
    if not isinstance(value, str):
        raise DataError(f'{where}: the column "{column}" holds {shown(value)} ({type(value).__name__}), expected text.')
    check_characters(value, f'{where}: the column "{column}"')
    return value


def messages_in(record: Mapping[str, Any], column: str, origin: Origin, spelling: Spelling = OPENAI) -> tuple[Message, ...]:
    """The conversation in a column: a list of messages, or its JSON text. Raises: DataError, naming the row, where it is none."""
    where = f"{origin.file}:{origin.row}"
    if column not in record:
        raise DataError(f'{where}: no column "{column}". Found: {listed_names(record)}.')
    value = listed(record[column], where, column, "messages")
    if not isinstance(value, list | tuple) or not value:
        wanted = f'{{"{spelling.role}": ..., "{spelling.content}": ...}}'
        raise DataError(f'{where}: the column "{column}" holds {shown(value)}, expected a list of {wanted}.')
    messages = tuple(_message(item, where, number, spelling) for number, item in enumerate(value, start=1))
    if any(message.role == "system" for message in messages[1:]):
        raise DataError(f"{where}: a system message after the first. Only the first may be one.")
    return messages


def listed(value: Any, where: str, column: str, what: str) -> Any:
    """A column's value, read as JSON where it is text. Raises: DataError."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise DataError(f'{where}: the column "{column}" is no JSON ({error}), expected a list of {what}.') from None


def chat_of(messages: tuple[Message, ...], origin: Origin) -> Chat:
    """The conversation as an example. Raises: DataError, naming the row, where it holds no answer to learn, or an empty one."""
    where = f"{origin.file}:{origin.row}"
    for number, message in enumerate(messages, start=1):
        if message.role == "assistant" and not message.content.strip():
            raise DataError(f"{where}: message {number} of the assistant is empty. Write it or remove the row.")
    if not any(message.role == "assistant" for message in messages):
        raise DataError(
            f"{where}: no message of the assistant, so nothing to learn. Roles found: {', '.join(message.role for message in messages)}."
        )
    if not any(message.role == "assistant" and message.learned for message in messages):
        raise DataError(f"{where}: every message of the assistant has the weight 0, so nothing to learn. Give one the weight 1.")
    return Chat(messages, origin)


def _message(item: Any, where: str, number: int, spelling: Spelling) -> Message:
    if not isinstance(item, Mapping) or spelling.role not in item or spelling.content not in item:
        user = next(name for name, role in spelling.roles.items() if role == "user")
        wanted = f'{{"{spelling.role}": "{user}", "{spelling.content}": "..."}}'
        raise DataError(f"{where}: message {number} is {shown(item)}, expected {wanted}.")
    written, content = item[spelling.role], item[spelling.content]
    role = spelling.roles.get(written) if isinstance(written, str) else None
    if role is None:
        other = f", {spelling.others[written]}" if isinstance(written, str) and written in spelling.others else ""
        raise DataError(f"{where}: message {number} has the role {shown(written)}{other}. Known: {', '.join(spelling.roles)}.")
    if not isinstance(content, str):
        raise DataError(f"{where}: message {number} holds {shown(content)} ({type(content).__name__}), expected text.")
    check_characters(content, f"{where}: message {number}")
    return Message(role, content, _is_learned(item, where, number, spelling) if role == "assistant" else True)


def _is_learned(item: Mapping[str, Any], where: str, number: int, spelling: Spelling) -> bool:
    weight = item.get(spelling.weight) if spelling.weight else None
    if weight not in (None, 0, 1):
        raise DataError(f"{where}: message {number} has the weight {shown(weight)}, expected 0 (read only) or 1 (learned).")
    return weight != 0


def check_characters(text: str, place: str) -> None:
    """JSON can spell half of a character, which no tokenizer takes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise DataError(f"{place} holds {half}, half of a character (a lone surrogate). Write the whole character, or remove it.") from None
