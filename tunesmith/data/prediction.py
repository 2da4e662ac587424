"""Records whose answer is to be predicted: read like the training data, without the answer."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from tunesmith.core.errors import DataError, UsageError, did_you_mean
from tunesmith.core.types import (
    Completion,
    Example,
    Graded,
    Labelled,
    MultiLabelled,
    Origin,
    Prompt,
    Ranked,
    Rated,
    SpanQuestion,
    Tagged,
    Text,
)
from tunesmith.data.formats._columns import (
    CHOICES,
    CONTEXTS,
    CONVERSATIONS,
    GRADED_ANSWERS,
    GRADED_PROMPTS,
    INSTRUCTIONS,
    MESSAGES,
    PAIRS,
    QUESTIONS,
    SECOND_TEXTS,
    SYSTEMS,
    TEXTS,
    WORDS,
    text_in,
)
from tunesmith.data.formats._conversations import messages_in, tools_in
from tunesmith.data.formats._instructions import asked as instructed
from tunesmith.data.formats._liked import asked_turns, message_list
from tunesmith.data.formats._values import words_in
from tunesmith.data.formats.alpaca import AlpacaFormat
from tunesmith.data.formats.choices import ChoicesFormat
from tunesmith.data.formats.columns import ColumnsFormat
from tunesmith.data.formats.graded import GradedFormat
from tunesmith.data.formats.pairs import PairsFormat
from tunesmith.data.formats.sharegpt import ShareGPTFormat

__all__ = ["columns_to_predict", "example_to_predict"]

_OF_TEXTS: dict[str, Callable[[str, Origin, str | None], Example]] = {
    "labelled": lambda text, origin, pair: Labelled(text, None, origin, pair),
    "rated": lambda text, origin, pair: Rated(text, None, origin, pair),
    "multilabel": lambda text, origin, pair: MultiLabelled(text, None, origin, pair),
}
"""Formats of a text, or two, and something known of it -> the example without that."""

_ASKED: dict[str, Callable[[Mapping[str, Any], Origin, Mapping[str, str]], Example]] = {
    "choices": ChoicesFormat().asked,
    "columns": ColumnsFormat().asked,
}
"""Formats that read a record without its answer themselves."""

_JUDGED = ("judged", "judged dialogue")
"""A prompt with one answer; the second: the prompt may be a dialogue in one text."""

_MESSAGES = {"messages": MESSAGES, "prompt": ("prompt", "text")}
_ROLES: dict[str, dict[str, tuple[str, ...]]] = {
    **{name: {"text": TEXTS, "text_pair": SECOND_TEXTS} for name in _OF_TEXTS},
    "tagged": {"words": WORDS},
    "squad": {"question": ("question",), "context": ("context",)},
    "pairs": {"source": tuple(dict.fromkeys(pair[0] for pair in PAIRS)), "context": CONTEXTS},
    "choices": {"question": QUESTIONS, "choices": (*CHOICES, "A")},
    "text": {"text": ("text",)},
    **{name: {"prompt": ("prompt", *QUESTIONS), "answer": ("answer", "response", "completion", "chosen")} for name in _JUDGED},
    "graded": {"prompt": GRADED_PROMPTS, "response": GRADED_ANSWERS, "system": SYSTEMS},
    "messages": _MESSAGES,
    "sharegpt": {"conversations": CONVERSATIONS, **_MESSAGES},
    "alpaca": {"instruction": INSTRUCTIONS, **_MESSAGES},
}
"""Format -> role -> usual names of its column."""


def columns_to_predict(
    columns: Collection[str], origin: Origin, *, format: str, given: Mapping[str, str], recipe: Mapping[str, str]
) -> dict[str, str]:
    """Role -> column of what is read: the given one, else the recipe's, else one of a usual name, else the only one.

    Args:
        columns: those of the file; `origin`: its first row.
        format: what the training data was read as.
        given: role -> column; it must be there. `recipe`: role -> column; counts where it is there.
    Raises: UsageError, for a role that the format does not have; DataError, where a column is not found, or several could be meant.
    """
    if format == "columns":
        return _numbers_to_predict(columns, f"{origin.file}:{origin.row}", given, recipe)
    return _texts_to_predict(columns, origin, format, given, recipe)


def _texts_to_predict(
    columns: Collection[str], origin: Origin, format: str, given: Mapping[str, str], recipe: Mapping[str, str]
) -> dict[str, str]:
    roles, where = _ROLES.get(format, _MESSAGES), f"{origin.file}:{origin.row}"
    for role, name in given.items():
        if role not in roles:
            raise UsageError(f'column {role}={name}: the run reads no "{role}".{did_you_mean(role, roles)}')
        if name not in columns:
            raise DataError(f'{where}: no column "{name}" to read the {role} from.{did_you_mean(name, columns)}')
    known = {**{role: name for role, name in recipe.items() if role in roles and name in columns}, **given}

    def find(role: str) -> str | None:
        if role in known:
            return known[role]
        beside = PairsFormat().locate(set(columns), {}).get(role) if format == "pairs" else None
        usual = [beside] if beside else [name for name in roles[role] if name in columns and name not in known.values()]
        if len(usual) > 1:
            raise DataError(f"{where}: the columns {', '.join(usual)} could each be the {role}. {_cure(role)}")
        return usual[0] if usual else None

    if format in ("squad", "graded", *_JUDGED):
        found = {role: column for role in roles if (column := find(role))}
        missing = next((role for role in roles if role not in found and role != "system"), None)
        if missing:
            raise DataError(_missing(missing, columns, roles, recipe, where))
        return found
    # A text may have a second one, a question has choices; a conversation or a prompt, either will do.
    first = "text" if format in _OF_TEXTS else {"choices": "question", "pairs": "source"}.get(format)
    wanted = [first] if first else sorted(roles, key=lambda role: role not in given)
    located = next(({role: column} for role in wanted if (column := find(role))), None)
    if located is None and len(columns) == 1:
        located = {wanted[-1]: next(iter(columns))}
    if located is None:
        raise DataError(_missing(wanted[-1], columns, roles, recipe, where))
    if format in _OF_TEXTS:
        second = find("text_pair")
        if second:
            located["text_pair"] = second
        elif "text_pair" in recipe:
            raise DataError(_missing("text_pair", columns, roles, recipe, where))
    beside = {"choices": "choices", "pairs": "context" if located.get("source") == "question" else ""}.get(format)
    if beside:
        column = find(beside)
        if column is None and beside == "choices":
            raise DataError(_missing("choices", columns, roles, recipe, where))
        located |= {beside: column} if column else {}
    return located


def _missing(role: str, columns: Collection[str], roles: Mapping[str, tuple[str, ...]], recipe: Mapping[str, str], where: str) -> str:
    names = dict.fromkeys([*([recipe[role]] if role in recipe else []), *roles[role][:2]])
    wanted = " or ".join(f'"{name}"' for name in names)
    return f"{where}: no column {wanted}. Found: {', '.join(map(str, columns)) or 'nothing'}. {_cure(role)}"


def _cure(role: str) -> str:
    return f'Say which it is: --column {role}=COLUMN (in Python, columns={{"{role}": "COLUMN"}}).'


def _numbers_to_predict(columns: Collection[str], where: str, given: Mapping[str, str], recipe: Mapping[str, str]) -> dict[str, str]:
    """Name -> column of each number, where they are named; else the label's column alone, which is not read."""
    known = {**recipe, **given}
    for role, name in known.items():
        if role != "label" and name not in columns:
            raise DataError(f'{where}: no column "{name}" to read the {role} from.{did_you_mean(name, columns)}')
    return {role: name for role, name in known.items() if role != "label" or name in columns}


def example_to_predict(record: Mapping[str, Any], origin: Origin, *, format: str, columns: Mapping[str, str]) -> Example:
    """An example without its answer; of a conversation, the turns before a last one of the assistant.

    Args:
        format: what the training data was read as. `columns`: as `columns_to_predict` found them.
    Raises: DataError, naming the row, where what is asked is missing, empty or no text.
    """
    if "instruction" in columns:
        return Prompt(instructed(record, origin, AlpacaFormat().locate(set(record), columns)), origin)
    if "messages" in columns or "conversations" in columns:
        if "messages" in columns:
            messages = messages_in(record, columns["messages"], origin)
        else:
            messages = ShareGPTFormat().turns(record, origin, ShareGPTFormat().locate(set(record), columns))
        asked = messages[:-1] if messages[-1].role == "assistant" else messages
        if not asked:
            raise DataError(f"{origin.file}:{origin.row}: no message before the assistant's, so nothing to answer. Write what is asked.")
        return Prompt(asked, origin, tools_in(record, "tools" if "tools" in record else None, origin))
    if format in _OF_TEXTS:
        pair = text_in(record, columns["text_pair"], origin) if "text_pair" in columns else None
        return _OF_TEXTS[format](text_in(record, columns["text"], origin), origin, pair)
    if format == "tagged":
        return Tagged(words_in(record, columns["words"], origin), None, origin)
    if format in ("graded", *_JUDGED):
        return _judged(record, origin, format, columns)
    if format == "squad":
        question, context = (text_in(record, columns[role], origin) for role in ("question", "context"))
        return SpanQuestion(question, context, None, origin)
    if format in _ASKED:
        return _ASKED[format](record, origin, columns)
    if format == "pairs":
        return Completion(PairsFormat().asked(record, origin, columns), "", origin)
    if format == "text":
        return Text(text_in(record, columns["text"], origin), origin)
    return Prompt(message_list(record, columns["prompt"], origin, "user"), origin)


def _judged(record: Mapping[str, Any], origin: Origin, format: str, columns: Mapping[str, str]) -> Graded | Ranked:
    """A prompt with the one answer that is to be judged."""
    if format == "graded":
        return Graded(*GradedFormat().turns(record, origin, columns), (), origin)
    if format == "judged":
        turns = message_list(record, columns["prompt"], origin, "user")
    else:
        turns = asked_turns(record, columns["prompt"], origin)
    return Ranked(turns, (text_in(record, columns["answer"], origin),), (1,), origin)
