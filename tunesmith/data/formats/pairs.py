"""pairs: a source text and the target text that should follow it; or the messages before it, and those that should follow."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from tunesmith.core.types import Chat, Completion, Origin
from tunesmith.data.formats._columns import PAIRS, is_alpaca, is_choices, is_judged, text_in
from tunesmith.data.formats._conversations import chat_of, messages_in

__all__ = ["PairsFormat"]


@dataclass(frozen=True, kw_only=True)
class PairsFormat:
    """Columns source and target, or prompt and completion, question and answer, input and output, instruction and output."""

    roles: ClassVar[tuple[str, ...]] = ("source", "target")
    required: ClassVar[tuple[str, ...]] = ("source", "target")

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role; nothing where two pairs of names would fit."""
        found = [pair for pair in PAIRS if set(pair) <= columns]
        sources = {pair[0] for pair in found if given.get("target", pair[1]) == pair[1]}
        targets = {pair[1] for pair in found if given.get("source", pair[0]) == pair[0]}
        usual = {role: next(iter(names)) for role, names in (("source", sources), ("target", targets)) if len(names) == 1}
        return {**(usual if given or len(found) == 1 else {}), **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether exactly one of the usual pairs of names is there, and neither choices nor a judgement beside it."""
        is_other = is_alpaca(columns) or is_choices(columns) or is_judged(columns)
        return not is_other and set(self.required) <= set(self.locate(columns, {}))

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Completion | Chat:
        """A pair of texts; where both are lists of messages, a conversation whose second part is learned.

        Raises: DataError, naming the row, where a text or a message is missing or empty.
        """
        if all(isinstance(record.get(columns[role]), list | tuple) for role in self.required):
            before, after = (messages_in(record, columns[role], origin) for role in self.required)
            return chat_of((*(replace(message, learned=False) for message in before), *after), origin)
        return Completion(text_in(record, columns["source"], origin), text_in(record, columns["target"], origin), origin)
