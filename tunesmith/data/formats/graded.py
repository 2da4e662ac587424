"""graded: a prompt, a response, and a column of grades for each attribute: `prompt`, `response`, `helpfulness`, `correctness`, ..."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Graded, Message, Origin
from tunesmith.data.formats._columns import (
    ATTRIBUTES,
    GRADED_ANSWERS,
    GRADED_PROMPTS,
    SYSTEMS,
    choose,
    is_empty,
    is_graded,
)
from tunesmith.data.formats._liked import asked_turns, completion_of, message_list, with_system
from tunesmith.data.formats._values import num_of_numbers, number_of
from tunesmith.data.table import cell, shown

__all__ = ["GradedFormat"]

_NAMES = {"prompt": GRADED_PROMPTS, "response": GRADED_ANSWERS, "system": SYSTEMS}


@dataclass(frozen=True, kw_only=True)
class GradedFormat:
    """Columns prompt (or instruction, or question), response (or answer, completion, or output), and two or more of the usual attributes, of any scale; an empty cell is a missing grade.

    Attributes of another name, or one alone, are named in `data.columns` beside `data.format: graded`: each key that is not prompt, response or system is an
    attribute, and where one is named, no other is read. Source: Wang et al. (2023), "HelpSteer", https://arxiv.org/abs/2311.09528, the published data.
    """

    roles: ClassVar[tuple[str, ...]] = (*_NAMES, *ATTRIBUTES)
    required: ClassVar[tuple[str, ...]] = ("prompt", "response")
    any_role: ClassVar[bool] = True
    """Roles are names of attributes, so that there may be others."""

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, where there is one; of the usual attributes where none is given, and there are two."""
        found = {role: choose(names, columns, given.values()) for role, names in _NAMES.items()}
        located = {**{role: name for role, name in found.items() if name}, **given}
        usual = [name for name in ATTRIBUTES if name in columns and name not in given.values()]
        if not _attributes(given) and len(usual) > 1:
            located |= {name: name for name in usual}
        return located

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is an answer with two or more of the usual attributes."""
        return is_graded(columns)

    def suits(self, records: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> bool:
        """Whether what is called as attributes are holds numbers: two columns of them, or the one that was named."""
        attributes = _attributes(columns)
        return bool(attributes) and num_of_numbers(records, [columns[name] for name in attributes]) >= min(2, len(attributes))

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Graded:
        """Raises: DataError, naming the row, where a text is missing, a grade is no number, there is no grade, or no attribute."""
        where, attributes = f"{origin.file}:{origin.row}", _attributes(columns)
        if not attributes:
            raise DataError(f"{where}: no column of grades. Name each attribute with its column, such as data.columns.relevance=COLUMN.")
        prompt, answer = self.turns(record, origin, columns)
        grades = tuple((name, _grade(record, columns[name], where)) for name in attributes)
        if all(grade is None for _, grade in grades):
            raise DataError(f"{where}: no grade of {', '.join(attributes)}. Write one or remove the row.")
        return Graded(prompt, answer, grades, origin)

    def turns(
        self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]
    ) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
        """The prompt and the answer to it. Raises: DataError, naming the row, where one is missing or empty."""
        prompt = with_system(asked_turns(record, columns["prompt"], origin), record, columns, origin)
        answer = message_list(record, columns["response"], origin, "assistant")
        return prompt, completion_of(answer, origin, columns["response"])


def _attributes(columns: Mapping[str, str]) -> list[str]:
    return [role for role in columns if role not in _NAMES]


def _grade(record: Mapping[str, Any], column: str, where: str) -> float | None:
    """The number in a column; None where it is empty, or its name stands in other rows alone."""
    value = cell(record.get(column))
    if is_empty(value):
        return None
    grade = number_of(value)
    if grade is None:
        raise DataError(f'{where}: the column "{column}" holds {shown(value)}, expected a number, the grade of that attribute, or nothing.')
    return grade
