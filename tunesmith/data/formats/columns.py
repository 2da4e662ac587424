"""columns: numbers, each in a column of its own, and the name of the row's class."""

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Labelled, Origin
from tunesmith.data.columns import listed
from tunesmith.data.formats._columns import LABELS, TEXTS, choose, is_empty
from tunesmith.data.formats._values import are_quantities, label_in, number_of
from tunesmith.data.table import Record, cell, listed_names, shown

__all__ = ["ColumnsFormat"]


@dataclass(frozen=True, kw_only=True)
class ColumnsFormat:
    """A column label, and every other column a number. Where `data.columns` names others than the label, these are read, under the names and in the order that it gives."""

    roles: ClassVar[tuple[str, ...]] = ("label",)
    required: ClassVar[tuple[str, ...]] = ("label",)
    any_role: ClassVar[bool] = True
    """Roles are names of numbers, so that there may be others."""

    def locate(self, columns: Set[str], given: Mapping[str, str]) -> dict[str, str]:
        """The column of the label, where it is clear, and those of numbers: the given ones, else all others as they stand."""
        label = given.get("label") or choose(LABELS, columns, given.values())
        if label is None:
            return dict(given)
        others = {name: name for name in columns if name != label} if not _numbers(given) else {}
        return {**others, **given, "label": label}

    def recognises(self, columns: Set[str]) -> bool:
        """Whether there is a label and no text."""
        return "label" in self.locate(columns, {}) and len(columns) > 1 and not columns & set(TEXTS)

    def suits(self, records: Sequence[Record], columns: Mapping[str, str]) -> bool:
        """Whether every other column of the first row holds a number, and the labels are no quantities."""
        others = [records[0].get(name) for name in _numbers(columns).values()]
        are_numbers = bool(others) and all(number_of(value) is not None for value in others)
        return are_numbers and not are_quantities([record.get(columns["label"]) for record in records])

    def parse(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Labelled:
        """The example with its label as the file has it. Raises: DataError, naming the row, where a number or the label is missing."""
        numbers = numbers_in(record, origin, columns)
        return Labelled(listed(numbers), label_in(record, columns["label"], origin), origin, numbers=numbers)

    def asked(self, record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> Labelled:
        """The example whose label is to be predicted; where no number is named, of every column that holds one, and is not called as labels are.

        Raises: DataError, as `parse`.
        """
        named = _numbers(columns)
        if not named:
            known = {*LABELS, *columns.values()}
            named = {str(name): str(name) for name, value in record.items() if name not in known and number_of(value) is not None}
        numbers = numbers_in(record, origin, named)
        return Labelled(listed(numbers), None, origin, numbers=numbers)


def _numbers(columns: Mapping[str, str]) -> dict[str, str]:
    """Name -> column of what is a number."""
    return {role: column for role, column in columns.items() if role != "label"}


def numbers_in(record: Mapping[str, Any], origin: Origin, columns: Mapping[str, str]) -> tuple[tuple[str, float], ...]:
    """The numbers of a record, each with its name. Raises: DataError, where one is missing or no number."""
    where, named = f"{origin.file}:{origin.row}", _numbers(columns)
    if not named:
        raise DataError(f"{where}: no column of numbers. Found: {listed_names(record)}.")
    return tuple((name, _number(record, column, where)) for name, column in named.items())


def _number(record: Mapping[str, Any], column: str, where: str) -> float:
    if column not in record:
        raise DataError(f'{where}: no column "{column}". Found: {listed_names(record)}.')
    value = cell(record[column])
    if is_empty(value):
        raise DataError(
            f'{where}: the column "{column}" is empty, and a number is expected. Write one, or leave such rows out: data.skip_invalid=true.'
        )
    number = number_of(value)
    if number is None:
        is_infinite = isinstance(value, float) and not math.isfinite(value)
        what = f"{value}, which is no finite number" if is_infinite else f"{shown(value)}, expected a number"
        raise DataError(f'{where}: the column "{column}" holds {what}. Name the columns that hold numbers: data.columns.')
    return number
