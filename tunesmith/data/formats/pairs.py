"""pairs: a source text and the target text that should follow it; or the messages before it, and those that should follow."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from tunesmith.core.types import Chat, Completion, Origin
from tunesmith.data.formats._columns import CONTEXTS, PAIRS, choose, is_alpaca, is_choices, is_empty, is_judged, text_in, texts_in
from tunesmith.data.formats._conversations import chat_of, messages_in
from tunesmith.data.formats._values import are_graded

__all__ = ["PairsFormat"]


@dataclass(frozen=True, kw_only=True)
class PairsFormat:
    """Columns source and target, or others that come in pairs: prompt and completion, question and answer, input and output, article and summary.

    A context beside a question (columns context, article or passage) stands before it, parted by an empty line. A target may be a list of texts that are all
    right: the first is learned, and what a model writes is measured by the nearest.
    """

    roles: ClassVar[tuple[str, ...]] = ("source", "target", "context")
    required: ClassVar[tuple[str, ...]] = ("source", "target")

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role; nothing where two pairs of names would fit."""
        found = [pair for pair in PAIRS if set(pair) <= columns]
        sources = {pair[0] for pair in found if given.get("target", pair[1]) == pair[1]}
        targets = {pair[1] for pair in found if given.get("source", pair[0]) == pair[0]}
        usual = {role: next(iter(names)) for role, names in (("source", sources), ("target", targets)) if len(names) == 1}
        located = {**(usual if given or len(found) == 1 else {}), **given}
        context = choose(CONTEXTS, columns, located.values()) if located.get("source") == "question" else None
        return {"context": context, **located} if context else located

    def recognises(self, columns: Set[str]) -> bool:
        """Whether exactly one of the usual pairs of names is there, and neither choices nor a judgement beside it."""
        is_other = is_alpaca(columns) or is_choices(columns) or is_judged(columns)
        return not is_other and set(self.required) <= set(self.locate(columns, {}))

    def suits(self, records: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> bool:
        """Whether it is answers to learn, and not answers with grades."""
        return not are_graded(records)

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Completion | Chat:
        """A pair of texts; where both are lists of messages, a conversation whose second part is learned.

        Raises: DataError, naming the row, where a text or a message is missing or empty.
        """
        if all(isinstance(record.get(columns[role]), list | tuple) for role in self.required):
            before, after = (messages_in(record, columns[role], origin) for role in self.required)
            return chat_of((*(replace(message, learned=False) for message in before), *after), origin)
        target, *others = texts_in(record, columns["target"], origin)
        return Completion(self.asked(record, origin, columns), target, origin, tuple(others))

    def asked(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> str:
        """The source, its context before it, where it has one. Raises: DataError, naming the row."""
        source, context = text_in(record, columns["source"], origin), columns.get("context")
        if context is None or is_empty(record.get(context)):
            return source
        return f"{text_in(record, context, origin)}\n\n{source}"
