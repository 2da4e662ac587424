"""Records of any source, as often as they are asked for: files are read anew, row by row, and never held in memory."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.types import Example, Origin
from tunesmith.data._unpacking import inner_name
from tunesmith.data.quarantine import InvalidRow, Quarantine
from tunesmith.data.read import find_format, read_table
from tunesmith.data.records import is_named_like_data, iter_rows
from tunesmith.data.sources._paths import expanded, is_file
from tunesmith.data.table import Record, Table, TableFacts

__all__ = ["RecordSource"]


class RecordSource:
    """A source that is read several times, each time the same."""

    def __init__(self, source: str, *, skip_invalid: bool = False) -> None:
        """Find the source. Raises: DataError, FetchError.

        Args:
            skip_invalid: whether rows that cannot be read, or make no example, are passed over; else the first is an error.
        """
        self.name, self.path = source, expanded(source)
        self._skips = skip_invalid
        self._is_file = is_file(self.path) and is_named_like_data(self.path)
        self._quarantine = self._new_quarantine()
        self._table = None if self._is_file else read_table(source, self._quarantine)
        self._unread = list(self._quarantine.rows) if self._quarantine else []

    @property
    def suffix(self) -> str:
        """The end of the file's name, unpacked, such as `.csv`; empty where the source is no file."""
        return Path(inner_name(self.path, self.name)).suffix.lower() if self._is_file else ""

    @property
    def invalid(self) -> list[InvalidRow]:
        """What the latest pass passed over."""
        return self._quarantine.rows if self._quarantine else []

    def _new_quarantine(self) -> Quarantine | None:
        return Quarantine() if self._skips else None

    def records(self) -> Iterator[tuple[Origin, Record]]:
        """Every record and where it stands. Raises: DataError, for the first that cannot be read, and where there is none.

        Classes that the source declares for numbers stand by their names: a file made of the records has nowhere else to keep them.
        """
        self._quarantine = self._new_quarantine()
        if self._table is not None:
            if self._quarantine is not None:
                self._quarantine.rows += self._unread
            for origin, record in zip(self._table.origins, self._table.records, strict=True):
                yield origin, _with_class_names(record, self._table.facts.class_names)
            return
        count = 0
        for row, record in iter_rows(self.path, self.name, quarantine=self._quarantine):
            count += 1
            yield Origin(self.name, row), record
        if not count:
            if self._quarantine is not None:
                self._quarantine.refuse_all(self.name)
            raise DataError(f"{self.name}: the file holds no rows.")

    def columns(self) -> list[str]:
        """The columns of all records, in the order of appearance."""
        found: dict[str, None] = {}
        for _, record in self.records():
            if record.keys() != found.keys():
                found.update(dict.fromkeys(record))
        return list(found)

    def format(self, wanted: str | None, given: Mapping[str, str], columns: list[str]) -> tuple[str, Any, dict[str, str]]:
        """The format's name, the format, and the column of each of its roles. Raises: DataError, UsageError."""
        header = Table([dict.fromkeys(columns)], [Origin(self.name, 1)], TableFacts(self.name, ""))
        return find_format(header, wanted, dict(given))

    def examples(self, form: Any, located: Mapping[str, str]) -> Iterator[tuple[Origin, Record, Example]]:
        """Every record that makes an example, and the example. Raises: DataError, for the first that does not, and where none does."""
        count = 0
        for origin, record in self.records():
            try:
                example = form.parse(record, origin, located)
            except DataError as error:
                self.refuse(error, origin, record)
                continue
            count += 1
            yield origin, record, example
        if not count and self._quarantine is not None:
            self._quarantine.refuse_all(self.name)

    def refuse(self, error: DataError, origin: Origin, record: Record) -> None:
        """Pass over a row for what `error` says of it, or raise that."""
        if self._quarantine is None:
            raise error
        self._quarantine.add(InvalidRow.of(error, origin.file, origin.row, record))


def _with_class_names(record: Record, names: Mapping[str, tuple[str, ...]]) -> Record:
    named = {
        column: classes[record[column]]
        for column, classes in names.items()
        if isinstance(record.get(column), int) and 0 <= record[column] < len(classes)
    }
    return {**record, **named} if named else record
