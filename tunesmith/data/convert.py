"""An example as a record of another format, and what that record no longer says."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.types import Chat, Completion, Example, Labelled, Message, Origin, Text
from tunesmith.data.formats._columns import CONVERSATIONS, LABELS, MESSAGES, PAIRS, SECOND_TEXTS, TEXTS
from tunesmith.data.formats._conversations import OPENAI, SHAREGPT, Spelling
from tunesmith.data.table import Record

__all__ = ["TARGETS", "Conversion", "columns_of", "convert", "is_of_several_turns", "kept_columns"]

_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
_ALPACA = ("instruction", "input", "output", "system", "history")
_READ = {*TEXTS, *SECOND_TEXTS, *LABELS, *MESSAGES, *CONVERSATIONS, *_ALPACA, *(name for pair in PAIRS for name in pair)}
"""Columns that some format reads: beside those of another format they would change what the file means."""

NOT_LEARNED = "that some answers are read and not learned"
LEARNED = "that earlier answers are learned too"
BORDER = "where the first of two texts ends"
ANSWER = "which part is the answer"
LABEL = "the labels"
SPEAKERS = "who says what"
CALLS = "the tools and their calls"
THOUGHTS = "what the assistant thinks before it answers"
BESIDE = "what is said beside a call"
OTHERS = "the other answers that are right"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A record, and what it no longer says of its example, in words that follow "it would lose"."""

    record: Record
    losses: tuple[str, ...] = ()


def convert(example: Example, to: str, *, as_messages: bool = False) -> Conversion:
    """The record of an example in the format `to`.

    Args:
        as_messages: of pairs, whether both parts are lists of messages, as they must be where a conversation has several turns.
    Raises: DataError, naming the row, where the format cannot hold the example at all.
    """
    if to == "pairs":
        return _pair(example, as_messages)
    found = _CONVERTERS[to](example)
    return replace(found, losses=(*found.losses, *_others_lost(example)))


def is_of_several_turns(example: Example) -> bool:
    """Whether an example is more than a question and its answer."""
    return isinstance(example, Chat) and [message.role for message in example.messages] != ["user", "assistant"]


def columns_of(to: str, *, has_pairs: bool = False) -> tuple[str, ...]:
    """The columns that the format writes. `has_pairs`: whether two texts share a label."""
    return ("text", "text_pair", "label") if to == "labelled" and has_pairs else TARGETS[to]


def kept_columns(columns: Sequence[str], located: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The columns that the format does not read: those that can stay beside any format, and those that cannot."""
    others = [column for column in columns if column not in located.values() or column == located.get("tools")]
    return [column for column in others if column not in _READ], [column for column in others if column in _READ]


def _turns(example: Example, to: str) -> tuple[Message, ...]:
    if isinstance(example, Chat):
        return example.messages
    if isinstance(example, Completion):
        return Message("user", example.source), Message("assistant", example.target)
    if isinstance(example, Labelled):
        return Message("user", _shown(example)), Message("assistant", example.label or "")
    raise _impossible(example, to)


def _impossible(example: Example, to: str, why: str = "") -> DataError:
    origin: Origin = example.origin
    why = why or (
        "it is raw text, without an answer"
        if isinstance(example, Text)
        else f"it is of the kind {type(example).__name__}, without such turns"
    )
    return DataError(f"{origin.file}:{origin.row}: cannot be written as {to}: {why}. Leave it out, or choose another format.")


def _shown(example: Labelled) -> str:
    return example.text if example.text_pair is None else f"{example.text}\n{example.text_pair}"


def _losses(example: Example, turns: Sequence[Message] = (), *, weighs: bool = False) -> tuple[str, ...]:
    found = [BORDER] if isinstance(example, Labelled) and example.text_pair is not None else []
    if not weighs and any(turn.role == "assistant" and (not turn.learned or turn.unlearned) for turn in turns):
        found.append(NOT_LEARNED)
    return tuple(found)


def _thoughts_lost(turns: Sequence[Message]) -> tuple[str, ...]:
    return (THOUGHTS,) if any(turn.thought for turn in turns) else ()


def _others_lost(example: Example) -> tuple[str, ...]:
    return (OTHERS,) if isinstance(example, Completion) and example.other_targets else ()


def _tools_lost(example: Example) -> tuple[str, ...]:
    if not isinstance(example, Chat):
        return ()
    return (CALLS,) if example.tools or any(turn.calls or turn.role == "tool" for turn in example.messages) else ()


def _spelled(message: Message, spelling: Spelling) -> dict[str, Any]:
    role = _SPEAKERS[message.role] if spelling is SHAREGPT else message.role
    if message.calls:
        return _spelled_calls(message, spelling)
    return {spelling.role: role, spelling.content: message.content, **(_beside(message) if spelling is OPENAI else {})}


def _spelled_calls(message: Message, spelling: Spelling) -> dict[str, Any]:
    if spelling is SHAREGPT:
        calls = [{"name": call.tool, "arguments": json.loads(call.arguments)} for call in message.calls]
        return {"from": spelling.call, "value": json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False)}
    functions = [{"name": call.tool, "arguments": call.arguments} for call in message.calls]
    calls = [{"type": "function", "function": function} for function in functions]
    return {"role": message.role, "content": message.content, "tool_calls": calls, **_beside(message)}


def _beside(message: Message) -> dict[str, Any]:
    """What stands beside an answer in OpenAI's messages: the thought, and what of it is learned."""
    found: dict[str, Any] = {"reasoning_content": message.thought} if message.thought else {}
    if message.unlearned:
        found["train_detail"] = [{"begin_offset": begin, "end_offset": end - 1, "train": False} for begin, end in message.unlearned]
    if message.role == "assistant" and not message.learned:
        found["weight"] = 0
    return found


def _messages(example: Example) -> Conversion:
    turns = _turns(example, "messages")
    return Conversion({"messages": [_spelled(turn, OPENAI) for turn in turns]}, _losses(example, weighs=True))


def _sharegpt(example: Example) -> Conversion:
    turns = _turns(example, "sharegpt")
    beside = (BESIDE,) if any(turn.calls and turn.content for turn in turns) else ()
    return Conversion(
        {"conversations": [_spelled(turn, SHAREGPT) for turn in turns]}, (*_losses(example, turns), *_thoughts_lost(turns), *beside)
    )


def _alpaca(example: Example) -> Conversion:
    turns = _turns(example, "alpaca")
    system = turns[0].content if turns[0].role == "system" else ""
    said = turns[1:] if turns[0].role == "system" else turns
    if len(said) % 2 or any(turn.role != ("user", "assistant")[place % 2] for place, turn in enumerate(said)):
        raise _impossible(example, "alpaca", f"its turns are {', '.join(turn.role for turn in turns)}, not question and answer by turns")
    pairs = [[question.content, answer.content] for question, answer in zip(said[::2], said[1::2], strict=True)]
    record = {"instruction": pairs[-1][0], "input": "", "output": pairs[-1][1], "system": system, "history": pairs[:-1]}
    return Conversion(record, (*_losses(example, turns), *_thoughts_lost(turns), *_tools_lost(example)))


def _pair(example: Example, as_messages: bool) -> Conversion:
    turns = _turns(example, "pairs")
    last = max(place for place, turn in enumerate(turns) if turn.role == "assistant")
    if not last:
        raise _impossible(example, "pairs", "nothing stands before its answer")
    losses = [*_losses(example, turns[last:]), *_thoughts_lost(turns), *_tools_lost(example)]
    if any(turn.role == "assistant" and turn.learned for turn in turns[:last]):
        losses.append(LEARNED)
    if as_messages:
        before, after = ([{"role": turn.role, "content": turn.content} for turn in part] for part in (turns[:last], turns[last:]))
        return Conversion({"prompt": before, "completion": after}, (*losses, *_others_lost(example)))
    others = example.other_targets if isinstance(example, Completion) else ()
    answer = [turns[1].content, *others] if others else turns[1].content
    return Conversion({"prompt": turns[0].content, "completion": answer}, tuple(losses))


def _labelled(example: Example) -> Conversion:
    if isinstance(example, Labelled):
        pair = {} if example.text_pair is None else {"text_pair": example.text_pair}
        return Conversion({"text": example.text, **pair, "label": example.label})
    turns = _turns(example, "labelled")
    if is_of_several_turns(example):
        raise _impossible(example, "labelled", "it has several turns, and a text has one label")
    return Conversion({"text": turns[0].content, "label": turns[1].content}, (*_losses(example, turns), *_thoughts_lost(turns)))


def _text(example: Example) -> Conversion:
    if isinstance(example, Text):
        return Conversion({"text": example.text})
    if isinstance(example, Labelled):
        return Conversion({"text": _shown(example)}, (LABEL, *_losses(example)))
    turns, loss = _turns(example, "text"), ANSWER if isinstance(example, Completion) else SPEAKERS
    return Conversion({"text": "\n\n".join(turn.content for turn in turns)}, (loss, *_thoughts_lost(turns)))


_CONVERTERS: dict[str, Callable[[Example], Conversion]] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "labelled": _labelled,
    "text": _text,
}

TARGETS: dict[str, tuple[str, ...]] = {
    "messages": ("messages",),
    "sharegpt": ("conversations",),
    "alpaca": _ALPACA,
    "pairs": ("prompt", "completion"),
    "labelled": ("text", "label"),
    "text": ("text",),
}
"""Format to convert to -> the columns that it writes."""
