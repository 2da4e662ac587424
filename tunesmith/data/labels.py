"""From the values of a label column to the names of classes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith.core.errors import DataError
from tunesmith.core.types import Labelled
from tunesmith.data.quarantine import InvalidRow, Quarantine
from tunesmith.data.table import shown

__all__ = ["MOST_NUMERIC_LABELS", "name_labels", "raw_label"]

MOST_NUMERIC_LABELS = 50
"""A column of more distinct numbers is a quantity, not a class."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NO_NUMBERS = ("nan", "inf", "+inf", "-inf", "infinity", "-infinity")


def raw_label(value: str | int | float) -> str:
    """A label as text: `1`, `1.0` and `"1"` are one label."""
    text = str(value).strip()
    return re.sub(r"(?<=\d)\.0+$", "", text) if re.fullmatch(r"[+-]?\d+\.0+", text) else text


def name_labels(
    examples: Sequence[Labelled],
    column: str,
    given: Mapping[str, str] | None,
    class_names: Sequence[str] = (),
    quarantine: Quarantine | None = None,
) -> tuple[list[Labelled], tuple[str, ...]]:
    """Examples with their labels named, and the names in the order of a classifier's outputs.

    Args:
        column: what the label column is called, for messages.
        given: raw value -> name; None: the source's class names, or the values themselves, sorted (numbers by value).
        class_names: names that the source declares for the numbers 0, 1, ...
        quarantine: takes the rows whose label is unknown; None: the first of them is an error.
    Raises: DataError, for an unknown label, and for a column that holds quantities or free text.
    """
    declared = {str(number): name for number, name in enumerate(class_names)}
    if given is None and not declared:
        kept = _numbers(examples, column, quarantine)
        return kept, _distinct(kept, column)
    known = {raw_label(value): name for value, name in given.items()} if given is not None else {}
    names = tuple(dict.fromkeys(known.values())) if given is not None else tuple(class_names)
    cache: dict[str, str] = {}
    named = []
    for example in examples:
        raw = example.label or ""
        try:
            if raw not in cache:
                cache[raw] = _name(raw, known, declared, names, example, column)
        except DataError as error:
            _refuse(error, example, quarantine)
            continue
        named.append(replace(example, label=cache[raw]))
    if not named and quarantine is not None:
        quarantine.refuse_all(examples[0].origin.file)
    return named, names


def _name(raw: str, known: Mapping[str, str], declared: Mapping[str, str], names: Sequence[str], example: Labelled, column: str) -> str:
    for value in (raw, declared.get(raw, raw)):
        if value in known:
            return known[value]
        if value in names:
            return value
    meanings = [f"{value} ({name})" if value != name else name for value, name in (known or declared).items()]
    hint = (
        " -1 usually means that the row was published without its label: leave it out."
        if raw == "-1"
        else " Correct the row, or set data.labels."
    )
    raise DataError(
        f'{example.origin.file}:{example.origin.row}: unknown label {shown(raw)} in the column "{column}". Known: {", ".join(meanings)}.{hint}'
    )


def _refuse(error: DataError, example: Labelled, quarantine: Quarantine | None) -> None:
    if quarantine is None:
        raise error
    raw = {"text": example.text, "label": example.label}
    quarantine.add(InvalidRow.of(error, example.origin.file, example.origin.row, raw))


def _numbers(examples: Sequence[Labelled], column: str, quarantine: Quarantine | None) -> list[Labelled]:
    """The examples without those whose label says that a number is missing, as programs write it, where all others are numbers."""
    labels = {example.label or "" for example in examples}
    missing = {label for label in labels if label.casefold() in _NO_NUMBERS}
    if not missing or not all(_NUMBER.fullmatch(label) for label in labels - missing):
        return list(examples)
    kept = []
    for example in examples:
        if example.label not in missing:
            kept.append(example)
            continue
        where = f"{example.origin.file}:{example.origin.row}"
        error = DataError(f'{where}: the column "{column}" holds {shown(example.label)}, no number, expected one as in the other rows.')
        _refuse(error, example, quarantine)
    if not kept and quarantine is not None:
        quarantine.refuse_all(examples[0].origin.file)
    return kept


def _distinct(examples: Sequence[Labelled], column: str) -> tuple[str, ...]:
    values = list(dict.fromkeys(example.label or "" for example in examples))
    file = examples[0].origin.file
    numbers = {value: float(value) for value in values if _NUMBER.fullmatch(value)}
    if len(numbers) == len(values):
        fraction = next((value for value, number in numbers.items() if not number.is_integer()), None)
        if fraction is not None or len(values) > MOST_NUMERIC_LABELS:
            found = f"such as {fraction[:30]}" if fraction is not None else f"({len(values)} different ones)"
            raise DataError(
                f'{file}: the column "{column}" holds numbers {found}, not classes. Name a column of classes with data.columns.label.'
            )
        return tuple(sorted(values, key=lambda value: numbers[value]))
    if len(values) > MOST_NUMERIC_LABELS and len(values) > len(examples) / 2:
        raise DataError(
            f'{file}: the column "{column}" holds {len(values)} different values in {len(examples)} rows: text, not classes. '
            "Name a column of classes with data.columns.label."
        )
    return tuple(sorted(values))
