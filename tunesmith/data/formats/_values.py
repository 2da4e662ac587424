"""What is in the cells of tables: numbers, words, lists."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin
from tunesmith.data.formats._columns import ATTRIBUTES, check_characters, is_empty, is_graded, listed
from tunesmith.data.labels import MOST_NUMERIC_LABELS, raw_label
from tunesmith.data.table import cell, listed_names, shown

__all__ = ["are_graded", "are_quantities", "label_in", "list_in", "num_of_numbers", "number_of", "words_in"]


def are_quantities(values: Sequence[Any]) -> bool:
    """Whether all values are numbers, and some are no whole ones, or there are more different ones than there are classes."""
    numbers = [number_of(value) for value in values if not is_empty(cell(value))]
    found = {number for number in numbers if number is not None}
    if None in numbers or not found:
        return False
    return any(not number.is_integer() for number in found) or len(found) > MOST_NUMERIC_LABELS


def are_graded(records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the records are answers with grades: in at least two columns of attributes there are numbers, and nothing else."""
    columns = {name for record in records for name in record}
    if not is_graded(columns):
        return False
    return num_of_numbers(records, [name for name in ATTRIBUTES if name in columns]) > 1


def num_of_numbers(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> int:
    """How many of the columns hold numbers, and beside them nothing but empty cells."""
    found = [[value for record in records if not is_empty(value := cell(record.get(name)))] for name in columns]
    return sum(bool(values) and all(number_of(value) is not None for value in values) for values in found)


def number_of(value: Any) -> float | None:
    """A finite number, or one written as text; None where it is none."""
    value = cell(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def label_in(record: Mapping[str, Any], column: str, origin: Origin) -> str:
    """The name of a class in a column, as the file has it. Raises: DataError, naming the row, where it is missing or no name."""
    where = f"{origin.file}:{origin.row}"
    if column not in record:
        raise DataError(f'{where}: no column "{column}". Found: {listed_names(record)}.')
    value = cell(record[column])
    if value is None or value == "":
        raise DataError(f'{where}: the column "{column}" is empty. Write its label or remove the row.')
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f'{where}: the column "{column}" holds {value}, which is no class. Write its label or remove the row.')
    if not isinstance(value, str | int | float):
        raise DataError(
            f'{where}: the column "{column}" holds {shown(value)} ({type(value).__name__}), expected the name or number of a class.'
        )
    if isinstance(value, str):
        check_characters(value, f'{where}: the column "{column}"')
    return raw_label(value)


def words_in(record: Mapping[str, Any], column: str, origin: Origin) -> tuple[str, ...]:
    """The words in a column. Raises: DataError, naming the row, where one is empty or no text."""
    where = f"{origin.file}:{origin.row}"
    words = list_in(record, column, where)
    for number, word in enumerate(words, start=1):
        if not isinstance(word, str) or not word.strip():
            raise DataError(
                f'{where}: the column "{column}" holds {shown(word)} as word {number}, expected text. Write it or remove the row.'
            )
        check_characters(word, f'{where}: word {number} of the column "{column}"')
    return tuple(words)


def list_in(record: Mapping[str, Any], column: str, where: str) -> list[Any]:
    """The list in a column, or its JSON text. Raises: DataError, where it is missing or empty."""
    if column not in record:
        raise DataError(f'{where}: no column "{column}". Found: {", ".join(map(str, record)) or "nothing"}.')
    value = listed(record[column], where, column, "words or tags")
    if not isinstance(value, list | tuple) or not value:
        raise DataError(f'{where}: the column "{column}" holds {shown(value)}, expected a list with an entry for each word.')
    return list(value)
