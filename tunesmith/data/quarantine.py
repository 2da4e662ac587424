"""Rows that are no examples: where each stands, what is wrong with it, and what it says. `data.skip_invalid` leaves them out instead of refusing."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.files import staged_file

__all__ = ["InvalidRow", "Quarantine", "write_quarantine"]

_MOST_CHARACTERS = 100_000
"""Of a raw row; a longer one is cut."""


@dataclass(frozen=True, slots=True)
class InvalidRow:
    """A row that cannot be read, or makes no example."""

    file: str
    row: int
    reason: str
    """As the error says it, without the place."""
    raw: Any = None
    """The row as the file has it: text, or a record; None where there is no more of it than that it is there."""

    @classmethod
    def of(cls, error: DataError, file: str, row: int, raw: Any = None) -> "InvalidRow":
        """What `error`, raised for a row, says of it."""
        said = str(error)
        place = re.match(rf"{re.escape(file)}(?::(\d+))?: ", said)
        return cls(file, int(place[1] or row), said[place.end() :], raw) if place else cls(file, row, said, raw)

    @property
    def message(self) -> str:
        """`FILE:row: reason`."""
        return f"{self.file}:{self.row}: {self.reason}"


@dataclass(slots=True)
class Quarantine:
    """Where invalid rows are put while data is read."""

    rows: list[InvalidRow] = field(default_factory=list)

    def add(self, invalid: InvalidRow) -> None:
        """Keep a row, its text cut where it is very long."""
        raw = invalid.raw
        if isinstance(raw, str) and len(raw) > _MOST_CHARACTERS:
            invalid = InvalidRow(invalid.file, invalid.row, invalid.reason, raw[:_MOST_CHARACTERS] + "…")
        self.rows.append(invalid)

    def summary(self, name: str) -> str:
        """How many rows of `name` were left out, and the first of them; one line."""
        count = len(self.rows)
        files = Counter(invalid.file for invalid in self.rows)
        where = f" in {len(files)} files" if len(files) > 1 else ""
        rows = "1 invalid row was" if count == 1 else f"{count:,} invalid rows{where} were"
        return f"{name}: {rows} left out; the first: {self.rows[0].message}"

    def refuse_all(self, name: str) -> None:
        """Raise DataError where nothing but invalid rows was found: then it is the file that is wrong, or how it is read."""
        if self.rows:
            raise DataError(f"{name}: every one of its {len(self.rows):,} rows is invalid; the first: {self.rows[0].message}")


def write_quarantine(path: Path, rows: Iterable[InvalidRow]) -> None:
    """Write one JSON object a row, {file, row, reason, raw}, whole or not at all."""
    with staged_file(path) as staged, staged.open("w", encoding="utf-8", errors="backslashreplace") as file:
        for invalid in rows:
            file.write(_line(invalid) + "\n")


def _line(invalid: InvalidRow) -> str:
    place = {"file": invalid.file, "row": invalid.row, "reason": invalid.reason}
    try:
        return json.dumps({**place, "raw": invalid.raw}, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):  # a record that holds itself, or too deep a one
        return json.dumps({**place, "raw": None}, ensure_ascii=False)
