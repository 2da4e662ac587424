"""A source read to its end: what could be read, and for every row that could not, why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.types import Example, Origin
from tunesmith.data.checks.finding import MOST_EXAMPLES, Finding, Place
from tunesmith.data.checks.masking import masked
from tunesmith.data.labels import NAMING
from tunesmith.data.quarantine import InvalidRow, Quarantine
from tunesmith.data.read import Dataset, SourceFacts, find_format, read_table
from tunesmith.data.table import Record
from tunesmith.data.unread import Unread

__all__ = ["Reading", "find_unreadable", "read_to_the_end"]


@dataclass(frozen=True, slots=True)
class Reading:
    """Every row of a source, in its order."""

    facts: SourceFacts
    records: list[Record]
    origins: list[Origin]
    examples: list[Example | None]
    """None where a row makes no example."""
    refused: dict[int, str]
    """Index of such a row -> why, in the words of the error."""
    broken: tuple[InvalidRow, ...] = ()
    """Rows of which the file does not even give a record."""

    @property
    def dataset(self) -> Dataset:
        """What could be read."""
        return Dataset([example for example in self.examples if example is not None], self.facts)

    @property
    def unreadable(self) -> list[tuple[Origin, str]]:
        """Every row that could not be read, and why, in the order of the file."""
        found = [(self.origins[index], reason) for index, reason in self.refused.items()]
        found += [(Origin(row.file, row.row), row.message) for row in self.broken]
        return sorted(found, key=lambda one: (one[0].file, one[0].row))


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
    broken, unnamed = Quarantine(), Quarantine()
    table = read_table(source, broken)
    name, form, located = find_format(table, format, dict(columns or {}))
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
    read = [example for example in examples if example is not None]
    if type(read[0]) in NAMING:
        name_them, role = NAMING[type(read[0])]
        given = labels if labels is None or isinstance(labels, Mapping) else {label: label for label in labels}
        column = located[role]
        named, found = name_them(read, column, given, table.facts.class_names.get(column, ()), unnamed)
        by_place = {example.origin: example for example in named}
        reasons = {(row.file, row.row): row.message for row in unnamed.rows}
        for index, example in enumerate(examples):
            if example is not None:
                examples[index] = by_place.get(example.origin)
                if examples[index] is None:
                    refused[index] = reasons[example.origin.file, example.origin.row]
    facts, notes = table.facts, (*table.facts.notes, *Unread.of(table, form, located).notes())
    return Reading(
        SourceFacts(facts.name, facts.sha256, facts.licence, facts.citation, len(examples), name, found, notes),
        table.records,
        table.origins,
        examples,
        refused,
        tuple(broken.rows),
    )


def find_unreadable(split: str, reading: Reading) -> list[Finding]:
    """One error for the rows that could not be read, each example with its reason; a cleaned copy leaves them out."""
    rows = reading.unreadable
    if not rows:
        return []
    examples = tuple(Place(split, origin.file, origin.row, _without_place(reason, origin)) for origin, reason in rows[:MOST_EXAMPLES])
    many = len(rows) != 1
    text = (
        f"{len(rows):,} row{'s' if many else ''} of {reading.facts.name} cannot be read: tuning stops at the first. "
        f"Correct {'them' if many else 'it'}; a cleaned copy (--fix) leaves {'them' if many else 'it'} out."
    )
    return [Finding("unreadable", "error", split, len(rows), text, examples, frozenset((origin.file, origin.row) for origin, _ in rows))]


def _without_place(reason: str, origin: Origin) -> str:
    return masked(reason.removeprefix(f"{origin.file}:{origin.row}").lstrip(": "))
