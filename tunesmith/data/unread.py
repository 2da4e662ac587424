"""What records hold and no example does: columns and keys of messages that nothing reads, so that nobody believes they were learned."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tunesmith.data.formats._conversations import unread_keys
from tunesmith.data.table import Record, Table, TableFacts, listed_names

__all__ = ["Unread", "unread_keys"]


class Unread:
    """Counts while records are read."""

    def __init__(self, form: Any, located: Mapping[str, str], facts: TableFacts) -> None:
        """`form` reads the columns `located` of a source's records."""
        self._located = located
        self._read = {*located.values(), *getattr(form, "reads_beside", ()), *facts.beside}
        self._name = facts.name
        self._columns, self._keys = dict[str, None](), Counter[str]()

    @classmethod
    def of(cls, table: Table, form: Any, located: Mapping[str, str]) -> "Unread":
        """Of every record of a table."""
        found = cls(form, located, table.facts)
        for record in table.records:
            found.add(record)
        return found

    def add(self, record: Record) -> None:
        """Look at one more record."""
        if record.keys() - self._columns.keys():
            self._columns.update(dict.fromkeys(record))
        self._keys.update(unread_keys(record, self._located))

    def notes(self) -> tuple[str, ...]:
        """What a reader of the report should know."""
        columns = [column for column in self._columns if column not in self._read]
        found = [f"{self._name}: columns that are not read: {listed_names(columns)}"] if columns else []
        return (*found, *(f"{self._name}: not read: {key} ({count:,} rows)" for key, count in self._keys.items()))
