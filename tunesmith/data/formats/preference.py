"""preference: a prompt and two answers, of which one was liked better."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Message, Origin, Preference
from tunesmith.data.formats._columns import CHOSEN, REJECTED, SYSTEMS, choose, is_empty, is_preference, text_in
from tunesmith.data.formats._instructions import asked
from tunesmith.data.formats._liked import completion_of, dialogue, message_list, shared_turns, with_system
from tunesmith.data.formats._values import number_of
from tunesmith.data.table import cell, shown

__all__ = ["PreferenceFormat"]

_NAMES = {
    "prompt": ("prompt", "question", "conversations", "messages"),
    "chosen": CHOSEN,
    "rejected": REJECTED,
    "system": SYSTEMS,
    "margin": ("margin",),
}


@dataclass(frozen=True, kw_only=True)
class PreferenceFormat:
    """Columns prompt, chosen and rejected, each a text or messages. Without a prompt it is what both conversations begin with.

    Two plain texts without a prompt part at the last space before they differ. Read, too: OpenAI's input, preferred_output and non_preferred_output; LLaMA-Factory's instruction or conversations with chosen and
    rejected (`ranking: true`); two whole dialogues as text, in turns of `Human:` and `Assistant:`, as hh-rlhf has them.
    Source: the documentation of TRL's, OpenAI's and LLaMA-Factory's data.
    """

    roles: ClassVar[tuple[str, ...]] = ("prompt", "chosen", "rejected", "instruction", "input", "system", "history", "margin")
    required: ClassVar[tuple[str, ...]] = ("chosen", "rejected")

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is one."""
        found = {role: choose(names, columns, given.values()) for role, names in _NAMES.items()}
        if "instruction" in columns:
            found |= {role: role for role in ("instruction", "input", "history") if role in columns}
        elif found["prompt"] is None and "input" in columns:
            found["prompt"] = "input"
        return {**{role: name for role, name in found.items() if name}, **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is a chosen and a rejected answer."""
        return is_preference(columns)

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Preference:
        """Raises: DataError, naming the row, where something is missing, or both answers are the same."""
        prompt = self._prompt(record, origin, columns)
        chosen, rejected = (_turns(record, columns[role], origin) for role in ("chosen", "rejected"))
        if chosen[0].role != "assistant" and rejected[0].role != "assistant":  # whole conversations: what they share is the prompt
            shared = shared_turns(chosen, rejected)
            prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
        where = f"{origin.file}:{origin.row}"
        if not prompt and all(isinstance(record.get(columns[role]), str) for role in ("chosen", "rejected")):
            prompt, chosen, rejected = _parted(record[columns["chosen"]], record[columns["rejected"]])
        if not prompt:
            raise DataError(f"{where}: no prompt, and the two answers have none in common. Set data.columns.prompt.")
        if "instruction" not in columns:
            prompt = with_system(prompt, record, columns, origin)
        chosen, rejected = (completion_of(turns, origin, columns[role]) for turns, role in ((chosen, "chosen"), (rejected, "rejected")))
        if chosen == rejected:
            raise DataError(f"{where}: the chosen and the rejected answer are the same, so nothing can be learned. Remove the row.")
        return Preference(prompt, chosen, rejected, origin, _margin(record, columns, where))

    def _prompt(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> tuple[Message, ...]:
        if "instruction" in columns:
            return asked(record, origin, columns)
        if "prompt" not in columns or is_empty(record.get(columns["prompt"])):
            return ()
        return message_list(record, columns["prompt"], origin, "user")


def _margin(record: Mapping[str, Any], columns: Mapping[str, str], where: str) -> float | None:
    """By how much it is liked better, where a column says so; None where its cell is empty. Raises: DataError, where that is no number."""
    if "margin" not in columns or is_empty(cell(record.get(columns["margin"]))):
        return None
    value = number_of(record[columns["margin"]])
    if value is None:
        raise DataError(f'{where}: the column "{columns["margin"]}" holds {shown(record[columns["margin"]])}, expected a number.')
    return value


def _turns(record: Mapping[str, Any], column: str, origin: Origin) -> tuple[Message, ...]:
    """An answer's messages, or a whole conversation's."""
    if isinstance(record.get(column), str):
        return dialogue(text_in(record, column, origin)) or message_list(record, column, origin, "assistant")
    return message_list(record, column, origin, "assistant")


def _parted(chosen: str, rejected: str) -> tuple[tuple[Message, ...], tuple[Message, ...], tuple[Message, ...]]:
    """(prompt, chosen, rejected) of two texts: what both begin with, up to the last white space before they differ; no prompt, where there is none."""
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False))
    at = max((place for place, (letter, _) in enumerate(shared) if letter.isspace()), default=0)
    prompt = (Message("user", chosen[:at]),) if chosen[:at].strip() else ()
    return prompt, (Message("assistant", chosen[at:]),), (Message("assistant", rejected[at:]),)
