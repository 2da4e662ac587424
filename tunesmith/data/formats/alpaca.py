"""alpaca: an instruction, perhaps with an input, a system message and earlier turns, and the output that should follow."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Chat, Message, Origin
from tunesmith.data.formats._columns import chat_of, check_characters, is_alpaca, is_empty, listed, text_in
from tunesmith.data.table import shown

__all__ = ["AlpacaFormat"]


@dataclass(frozen=True, kw_only=True)
class AlpacaFormat:
    """Columns instruction and output, and one or more of input, system and history (a list of [question, answer]).

    The input follows the instruction on a line of its own; answers of the history are learned too. Source: the data of Taori et al. (2023),
    "Stanford Alpaca", and LLaMA-Factory's documentation of its data, which adds system and history.
    """

    roles: ClassVar[tuple[str, ...]] = ("instruction", "input", "output", "system", "history")
    required: ClassVar[tuple[str, ...]] = ("instruction", "output")

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is one."""
        return {**{role: role for role in self.roles if role in columns and role not in given.values()}, **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is more than an instruction and its output, which are a pair."""
        return is_alpaca(columns)

    def asked(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> tuple[Message, ...]:
        """Everything before the output. Raises: DataError, naming the row."""

        def optional(role: str) -> str | None:
            column = columns.get(role)
            return None if column is None or is_empty(record.get(column)) else text_in(record, column, origin)

        system, given = optional("system"), optional("input")
        question = text_in(record, columns["instruction"], origin) + (f"\n{given}" if given else "")
        before = (Message("system", system),) if system else ()
        return (*before, *self._history(record, origin, columns), Message("user", question))

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Chat:
        """Raises: DataError, naming the row, where the instruction or the output is missing or empty, or the history is none."""
        answer = Message("assistant", text_in(record, columns["output"], origin))
        return chat_of((*self.asked(record, origin, columns), answer), origin)

    def _history(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> list[Message]:
        column, where = columns.get("history"), f"{origin.file}:{origin.row}"
        if column is None or is_empty(record.get(column)):
            return []
        found = listed(record[column], where, column, "[question, answer]")
        turns = list[Message]()
        for number, pair in enumerate(found if isinstance(found, list | tuple) else [found], start=1):
            if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
                raise DataError(
                    f'{where}: the column "{column}" holds {shown(pair)} at place {number}, expected [question, answer], both of them text.'
                )
            check_characters("".join(pair), f'{where}: the column "{column}"')
            turns += [Message("user", pair[0]), Message("assistant", pair[1])]
        return turns
