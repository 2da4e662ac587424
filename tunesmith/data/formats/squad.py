"""squad: a question, a context, and the pieces of the context that answer it."""

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin, SpanQuestion
from tunesmith.data.formats._columns import named_as_roles, text_in
from tunesmith.data.table import shown

__all__ = ["SquadFormat"]


@dataclass(frozen=True, kw_only=True)
class SquadFormat:
    """Columns question, context and answers: `{"text": [...], "answer_start": [...]}` (characters from 0), or a list of objects with both.

    Empty answers mean that the context holds none. Source: Rajpurkar et al. (2016, 2018), SQuAD 1.1 and 2.0.
    """

    roles: ClassVar[tuple[str, ...]] = ("question", "context", "answers")
    required: ClassVar[tuple[str, ...]] = ("question", "context", "answers")

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is one."""
        return {**named_as_roles(self.roles, columns, given), **given}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether all three are there."""
        return set(self.roles) <= columns

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> SpanQuestion:
        """Raises: DataError, naming the row, where something is missing, or an answer does not stand where it should."""
        where, column = f"{origin.file}:{origin.row}", columns["answers"]
        question, context = text_in(record, columns["question"], origin), text_in(record, columns["context"], origin)
        answers = []
        for text, start in _answers(record.get(column), where, column):
            if not isinstance(text, str) or not text or isinstance(start, bool) or not isinstance(start, int):
                raise DataError(f"{where}: an answer is {shown([text, start])}, expected its text and its first character in the context.")
            if context[start : start + len(text)] != text or start < 0:
                found = context.find(text)
                cure = f"It stands at {found}." if found >= 0 else "The context does not hold it."
                raise DataError(f"{where}: the answer {shown(text)} does not stand at character {start} of the context. {cure}")
            answers.append((start, text))
        return SpanQuestion(question, context, tuple(answers), origin)


def _answers(value: Any, where: str, column: str) -> list[tuple[Any, Any]]:
    """(text, first character) of each answer."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise DataError(f'{where}: the column "{column}" is no JSON ({error}).') from None
    if isinstance(value, Mapping) and {"text", "answer_start"} <= value.keys():
        texts, starts = value["text"], value["answer_start"]
        texts, starts = ([one] if isinstance(one, str | int) else list(one) for one in (texts, starts))
        if len(texts) == len(starts):
            return list(zip(texts, starts, strict=True))
    if isinstance(value, list | tuple) and all(isinstance(one, Mapping) and {"text", "answer_start"} <= one.keys() for one in value):
        return [(one["text"], one["answer_start"]) for one in value]
    raise DataError(
        f'{where}: the column "{column}" holds {shown(value)}, expected {{"text": [...], "answer_start": [...]}} of equal length.'
    )
