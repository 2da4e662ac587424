"""choices: a question, answers to choose among, and which of them is right.

The choices are a list (or its JSON text), the mapping {"text": [...], "label": [...]} of ARC, or columns A, B, C, ... The right one is a
number that counts from 0 (HellaSwag, MMLU), a letter (ARC, MMLU's csv files), one of the labels beside the choices, or the choice's own text.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Choice, Origin
from tunesmith.data.formats._columns import ANSWERS, CHOICES, QUESTIONS, check_characters, choose, listed, text_in
from tunesmith.data.labels import raw_label
from tunesmith.data.table import cell, shown

__all__ = ["ChoicesFormat"]


@dataclass(frozen=True, kw_only=True)
class ChoicesFormat:
    """Columns question (or ctx), choices (or endings, options, or A, B, C, ...) and answer (or answerKey, label)."""

    roles: ClassVar[tuple[str, ...]] = ("question", "choices", "answer")
    required: ClassVar[tuple[str, ...]] = ("question", "choices", "answer")
    reads_beside: ClassVar[tuple[str, ...]] = tuple(ascii_uppercase)
    """Columns that are read without a role of their own: one for each choice."""

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of each role, as far as it is clear; of lettered choices it is A."""
        found = dict(given)
        for role, names in (("question", QUESTIONS), ("choices", CHOICES), ("answer", ANSWERS)):
            name = found.get(role) or choose(names, columns, found.values())
            if name:
                found[role] = name
        if "choices" not in found and {"A", "B"} <= columns:
            found["choices"] = "A"
        return found

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is one question, one set of choices and one answer."""
        return set(self.required) <= set(self.locate(columns, {}))

    def asked(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Choice:
        """The question and its choices, without the answer. Raises: DataError, naming the row."""
        return Choice(text_in(record, columns["question"], origin), self._choices(record, origin, columns["choices"])[0], None, origin)

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Choice:
        """Raises: DataError, naming the row, where something is missing, a choice stands twice, or the answer is none of them or unclear."""
        question = text_in(record, columns["question"], origin)
        choices, labels = self._choices(record, origin, columns["choices"])
        where, column = f"{origin.file}:{origin.row}", columns["answer"]
        if column not in record:
            raise DataError(f'{where}: no column "{column}". Found: {", ".join(map(str, record))}.')
        return Choice(question, choices, _place(cell(record[column]), choices, labels, f'{where}: the column "{column}"'), origin)

    def _choices(self, record: Mapping[str, Any], origin: Origin, column: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The choices, and what the row calls them, where it does."""
        where = f"{origin.file}:{origin.row}"
        if column not in record:
            raise DataError(f'{where}: no column "{column}". Found: {", ".join(map(str, record)) or "nothing"}.')
        value = record[column]
        if column == "A" and "B" in record:
            names = [name for name in ascii_uppercase if name in record and cell(record[name]) not in (None, "")]
            return _checked([_written(record[name]) for name in names], where), tuple(names)
        found = listed(value, where, column, "choices")
        labels: Any = ()
        if isinstance(found, Mapping) and "text" in found:
            found, labels = found["text"], found.get("label") or ()
        if not isinstance(found, list | tuple) or len(labels) not in (0, len(found)):
            raise DataError(f'{where}: the column "{column}" holds {shown(value)}, expected a list of choices.')
        return _checked([_written(choice) for choice in found], where), tuple(str(label) for label in labels)


def _written(value: Any) -> Any:
    """A choice as text: numbers are written out."""
    value = cell(value)
    return raw_label(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _checked(choices: Sequence[Any], where: str) -> tuple[str, ...]:
    if len(choices) < 2:
        raise DataError(f"{where}: {len(choices)} choice{'' if len(choices) == 1 else 's'}, expected at least two.")
    first = dict[str, int]()
    for number, choice in enumerate(choices, start=1):
        if not isinstance(choice, str) or not choice.strip():
            raise DataError(f"{where}: choice {number} is {shown(choice)}, expected text.")
        check_characters(choice, f"{where}: choice {number}")
        if choice.strip() in first:
            raise DataError(
                f"{where}: choices {first[choice.strip()]} and {number} are the same, {shown(choice)}. Write another or remove the row."
            )
        first[choice.strip()] = number
    return tuple(choice.strip() for choice in choices)


def _place(value: Any, choices: tuple[str, ...], labels: tuple[str, ...], where: str) -> int:
    """The place of the right choice, from 0."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        found = "is empty" if value in (None, "") else f"holds {shown(value)}"
        raise DataError(f"{where} {found}, expected the number (from 0), the letter or the text of the right choice.")
    said = raw_label(value)
    ways = dict[str, int]()
    if said in labels:
        ways["label"] = labels.index(said)
    elif said.isascii() and said.isdigit() and int(said) < len(choices) and not any(label.isdigit() for label in labels):
        ways["number"] = int(said)
    elif not labels and len(said) == 1 and said in ascii_uppercase[: len(choices)]:
        ways["letter"] = ascii_uppercase.index(said)
    if isinstance(value, str) and "label" not in ways and said in choices:
        ways["text"] = choices.index(said)
    if not ways:
        raise DataError(
            f"{where} holds {shown(value)}, which is none of the {len(choices)} choices: {', '.join(shown(c, 30) for c in choices[:6])}. "
            "Expected a number (from 0), a letter or the text of one."
        )
    if len(set(ways.values())) > 1:
        (one, first), (other, second) = ways.items()
        raise DataError(
            f"{where} holds {shown(value)}: by its {one} that is choice {first + 1}, by its {other} choice {second + 1}. Write the letter of the right one in columns A, B, ..., or its whole text."
        )
    return next(iter(ways.values()))
