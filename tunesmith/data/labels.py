"""From the values of a label column to the names of classes."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Example, Graded, Labelled, MultiLabelled, Tagged
from tunesmith.data.quarantine import InvalidRow, Quarantine
from tunesmith.data.table import shown

__all__ = [
    "MOST_NUMERIC_LABELS",
    "NAMING",
    "labels_of",
    "name_all_labels",
    "name_grades",
    "name_labels",
    "name_tags",
    "raw_label",
    "renaming",
]

E = TypeVar("E", Labelled, MultiLabelled, Tagged, Graded)

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
    if given is None and not class_names:
        kept = _numbers(examples, column, quarantine)
        return kept, _distinct(kept, column)
    naming = _Naming(column, given, class_names)
    return _named(examples, lambda e: _renamed(e, naming), quarantine), naming.names


def name_all_labels(
    examples: Sequence[MultiLabelled],
    column: str,
    given: Mapping[str, str] | None,
    class_names: Sequence[str] = (),
    quarantine: Quarantine | None = None,
) -> tuple[list[MultiLabelled], tuple[str, ...]]:
    """As `name_labels`, of examples with many. Raises: DataError, for an unknown label."""
    if given is None and not class_names:
        return list(examples), _in_order({label for example in examples for label in example.labels or ()})
    naming = _Naming(column, given, class_names)
    return _named(examples, lambda e: _renamed(e, naming), quarantine), naming.names


def name_tags(
    examples: Sequence[Tagged],
    column: str,
    given: Mapping[str, str] | None,
    class_names: Sequence[str] = (),
    quarantine: Quarantine | None = None,
) -> tuple[list[Tagged], tuple[str, ...]]:
    """As `name_labels`, of the tags of words. Raises: DataError, for an unknown tag."""
    if given is None and not class_names:
        return list(examples), _in_order({tag for example in examples for tag in example.tags or ()})
    naming = _Naming(column, given, class_names)
    return _named(examples, lambda e: _renamed(e, naming), quarantine), naming.names


def name_grades(
    examples: Sequence[Graded],
    column: str,
    given: Mapping[str, str] | None,
    class_names: Sequence[str] = (),
    quarantine: Quarantine | None = None,
) -> tuple[list[Graded], tuple[str, ...]]:
    """As `name_labels`, of graded answers: the names are the attributes'. Of `given` ones all are there in every row, and no others."""
    if given is None:
        return list(examples), tuple(name for name, _ in examples[0].grades)
    naming = _Naming(column, given, class_names)
    return _named(examples, lambda e: _renamed(e, naming), quarantine), naming.names


NAMING: dict[type, tuple[Callable[..., Any], str]] = {
    Labelled: (name_labels, "label"),
    MultiLabelled: (name_all_labels, "labels"),
    Tagged: (name_tags, "tags"),
    Graded: (name_grades, "response"),
}
"""Kind of example -> what names its labels, and the role of their column."""


def labels_of(example: Example) -> tuple[str, ...]:
    """The classes, or tags, that an example names, or the attributes that it has grades of."""
    if isinstance(example, Labelled):
        return () if example.label is None else (example.label,)
    if isinstance(example, MultiLabelled):
        return example.labels or ()
    if isinstance(example, Graded):
        return tuple(name for name, grade in example.grades if grade is not None)
    return (example.tags or ()) if isinstance(example, Tagged) else ()


def renaming(
    sample: Sequence[Example], located: Mapping[str, str], given: Mapping[str, str] | None, class_names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[Example], Example] | None, tuple[str, ...]]:
    """What names the labels of an example, None where they stay as they are, and the names, from a sample that has each of them.

    Args:
        located: role -> column. `given`: raw value -> name. `class_names`: column -> names that the source declares.
    Raises: DataError, as `name_labels`.
    """
    if type(sample[0]) not in NAMING:
        return None, ()
    name_them, role = NAMING[type(sample[0])]
    column = located[role]
    names: tuple[str, ...] = name_them(sample, column, given, class_names.get(column, ()))[1]
    if given is None and column not in class_names:
        return None, names
    naming = _Naming(column, given, class_names.get(column, ()))

    def rename(example: Example) -> Example:
        renamed: Example = _renamed(example, naming)
        return renamed

    return rename, names


def _renamed(example: Any, naming: "_Naming") -> Any:
    if isinstance(example, Labelled):
        return replace(example, label=naming(example.label or "", example))
    if isinstance(example, MultiLabelled):
        return replace(example, labels=tuple(dict.fromkeys(naming(label, example) for label in example.labels or ())))
    if isinstance(example, Graded):
        return replace(example, grades=naming.graded(example))
    return replace(example, tags=tuple(naming(tag, example) for tag in example.tags or ()))


def _named(examples: Sequence[E], name: Callable[[E], E], quarantine: Quarantine | None) -> list[E]:
    """Each example as `name` makes it; those that it refuses go into `quarantine`, where there is one. Raises: DataError."""
    named = []
    for example in examples:
        try:
            named.append(name(example))
        except DataError as error:
            _refuse(error, example, quarantine)
    if not named and quarantine is not None:
        quarantine.refuse_all(examples[0].origin.file)
    return named


class _Naming:
    """From values of a column to names; each value is looked up once."""

    def __init__(self, column: str, given: Mapping[str, str] | None, class_names: Sequence[str]) -> None:
        self._column = column
        self._declared = {str(number): name for number, name in enumerate(class_names)}
        self._known = {raw_label(value): name for value, name in given.items()} if given is not None else {}
        self.names = tuple(dict.fromkeys(self._known.values())) if given is not None else tuple(class_names)
        self._found: dict[str, str] = {}

    def graded(self, example: Graded) -> tuple[tuple[str, float | None], ...]:
        """The grade of each name."""
        found = {self._known.get(name, name): grade for name, grade in example.grades}
        return tuple((name, found.get(name)) for name in self.names)

    def __call__(self, raw: str, example: Labelled | MultiLabelled | Tagged) -> str:
        if raw not in self._found:
            self._found[raw] = _name(raw, self._known, self._declared, self.names, example, self._column)
        return self._found[raw]


def _in_order(values: Collection[str]) -> tuple[str, ...]:
    """Names by the alphabet; numbers by value."""
    numbers = {value: float(value) for value in values if re.fullmatch(r"[+-]?\d+", value)}
    return tuple(sorted(values, key=lambda value: numbers[value])) if len(numbers) == len(values) else tuple(sorted(values))


def _name(
    raw: str,
    known: Mapping[str, str],
    declared: Mapping[str, str],
    names: Sequence[str],
    example: Labelled | MultiLabelled | Tagged,
    column: str,
) -> str:
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


def _refuse(error: DataError, example: Labelled | MultiLabelled | Tagged | Graded, quarantine: Quarantine | None) -> None:
    if quarantine is None:
        raise error
    left_out = ("origin", "before", "above", *(() if getattr(example, "numbers", ()) else ("numbers",)))
    raw = {name: value for name, value in asdict(example).items() if name not in left_out and value is not None}
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
