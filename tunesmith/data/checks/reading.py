"""A source read to its end: what could be read, and for every row that could not, why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.types import Example, Labelled, Origin
from tunesmith.data.checks.finding import MOST_EXAMPLES, Finding, Place
from tunesmith.data.checks.masking import masked
from tunesmith.data.labels import name_labels
from tunesmith.data.read import Dataset, SourceFacts, _format, _table
from tunesmith.data.table import Record

__all__ = ["Reading", "find_unreadable", "read_to_the_end"]


@dataclass(frozen=True, slots=True)
class Reading:
    """Every row of a source, in its order."""

    facts: SourceFacts
    records: list[Record]
    origins: list[Origin]
    examples: list[Example | None]
    """None where a row could not be read."""
    refused: dict[int, str]
    """Index of such a row -> why, in the words of the error."""

    @property
    def dataset(self) -> Dataset:
        """What could be read."""
        return Dataset([example for example in self.examples if example is not None], self.facts)


def read_to_the_end(
    source: Any,
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | Sequence[str] | None = None,
) -> Reading:
    """Read a source as `read` does, but keep what is wrong with a row instead of stopping there.

    Raises: DataError, where a file cannot be taken apart into rows, or no row can be read; FetchError, UsageError.
    """
    table = _table(source)
    name, form, located = _format(table, format, dict(columns or {}))
    examples, refused = list[Example | None](), dict[int, str]()
    for index, (record, origin) in enumerate(zip(table.records, table.origins, strict=True)):
        try:
            examples.append(form.parse(record, origin, located))
        except DataError as error:
            examples.append(None)
            refused[index] = str(error)
    if len(refused) == len(examples):
        raise DataError(f"{next(iter(refused.values()))} No row of {table.facts.name} can be read.")
    found: tuple[str, ...] = ()
    if any(isinstance(example, Labelled) for example in examples):
        given = labels if labels is None or isinstance(labels, Mapping) else {label: label for label in labels}
        column = located["label"]
        found = _name_each(examples, refused, column, given, table.facts.class_names.get(column, ()))
    facts = table.facts
    return Reading(
        SourceFacts(facts.name, facts.sha256, facts.licence, facts.citation, len(examples), name, found, facts.notes),
        table.records,
        table.origins,
        examples,
        refused,
    )


def _name_each(
    examples: list[Example | None], refused: dict[int, str], column: str, given: Mapping[str, str] | None, class_names: Sequence[str]
) -> tuple[str, ...]:
    """Name the labels in place; a row whose label is unknown is refused. Returns: the labels, in the order of a classifier's outputs."""
    places = [index for index, example in enumerate(examples) if isinstance(example, Labelled)]
    labelled = [example for example in examples if isinstance(example, Labelled)]
    try:
        named, found = name_labels(labelled, column, given, class_names)
    except DataError:
        if given is None and not class_names:  # not a row's fault: the column holds no classes
            raise
        named, found = list[Labelled](), ()
        for index, example in zip(places, labelled, strict=True):
            try:
                (one,), found = name_labels([example], column, given, class_names)
                named.append(one)
            except DataError as error:
                refused[index] = str(error)
                named.append(replace(example, label=None))
        if len(refused) == len(examples):
            raise
    for index, example in zip(places, named, strict=True):
        examples[index] = None if index in refused else example
    return found


def find_unreadable(split: str, reading: Reading) -> list[Finding]:
    """One error for the rows that could not be read, each example with its reason; a cleaned copy leaves them out."""
    if not reading.refused:
        return []
    rows = [(reading.origins[index], reason) for index, reason in sorted(reading.refused.items())]
    examples = tuple(Place(split, origin.file, origin.row, _without_place(reason, origin)) for origin, reason in rows[:MOST_EXAMPLES])
    many = len(rows) != 1
    text = (
        f"{len(rows):,} row{'s' if many else ''} of {reading.facts.name} cannot be read: tuning stops at the first. "
        f"Correct {'them' if many else 'it'}; a cleaned copy (--fix) leaves {'them' if many else 'it'} out."
    )
    return [Finding("unreadable", "error", split, len(rows), text, examples, frozenset((origin.file, origin.row) for origin, _ in rows))]


def _without_place(reason: str, origin: Origin) -> str:
    return masked(reason.removeprefix(f"{origin.file}:{origin.row}").lstrip(": "))
