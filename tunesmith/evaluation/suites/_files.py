"""The files of suites, read row by row; what is broken is said with file and row."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError

__all__ = [
    "WithShots",
    "csv_rows",
    "examples_of",
    "first_of",
    "json_document",
    "json_rows",
    "number",
    "read_text",
    "required",
    "text",
    "texts",
]

Placed = tuple[str, dict[str, Any]]
"""A row and where it stands: `file:row`."""


class WithShots(Mapping[str, Sequence[Mapping[str, Any]]]):
    """Rows that are asked, and splits that give shots, whose files are large: each is read once it is wanted."""

    def __init__(
        self, asked: Mapping[str, Sequence[Mapping[str, Any]]], shots: Mapping[str, Callable[[], Sequence[Mapping[str, Any]]]]
    ) -> None:
        self._read = dict(asked)
        self._unread = dict(shots)

    def __getitem__(self, split: str) -> Sequence[Mapping[str, Any]]:
        """Raises: DataError, where the split's file is broken."""
        if split not in self._read and split in self._unread:
            self._read[split] = self._unread[split]()
        return self._read[split]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._read, **self._unread})

    def __len__(self) -> int:
        return len({**self._read, **self._unread})


def first_of(folder: Path, *names: str) -> Path | None:
    """The first of these files that is there."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def required(folder: Path, *names: str) -> Path:
    """The first of these files that is there. Raises: DataError, where none is."""
    found = first_of(folder, *names)
    if found is None:
        raise DataError(f"{folder / names[0]}: no such file{''.join(f', nor {name}' for name in names[1:])}. Bring it.")
    return found


def read_text(path: Path) -> str:
    """The whole file. Raises: DataError, where it is not UTF-8 or cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}. Bring the file as its authors ship it.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None


def json_rows(path: Path) -> Iterator[Placed]:
    """The objects of a file with one JSON object a line. Raises: DataError, also where there is none."""
    lines = [(number, line) for number, line in enumerate(read_text(path).split("\n"), 1) if line.strip()]
    if not lines:
        raise DataError(f"{path}: has no rows.")
    for number, line in lines:
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{place}: broken JSON ({error}). Each line must be one object.") from None
        if not isinstance(row, dict):
            raise DataError(f"{place}: found {type(row).__name__}, expected a JSON object.")
        yield place, row


def json_document(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object. Raises: DataError."""
    try:
        found = json.loads(read_text(path))
    except ValueError as error:
        raise DataError(f"{path}: broken JSON ({error}).") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: found {type(found).__name__}, expected a JSON object.")
    return found


def examples_of(path: Path, document: Mapping[str, Any]) -> list[Any]:
    """`examples` of a task's document, as BIG-bench's JSON has them. Raises: DataError, where there are none."""
    examples = document.get("examples")
    if not isinstance(examples, list) or not examples:
        raise DataError(f"{path}: examples: found nothing, expected a list of examples, as BIG-bench's JSON tasks have it.")
    return examples


def csv_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[Placed]:
    """The rows of a file with commas, by column; `columns`: their names, in a file whose first row is not a header.

    Raises: DataError, where a row has another number of fields than there are columns, or there is no row.
    """
    reader, before, count = csv.reader(io.StringIO(read_text(path), newline=""), strict=True), 0, 0
    names = list(columns) if columns is not None else []
    try:
        for fields in reader:
            place, before = f"{path}:{before + 1}", reader.line_num
            if not fields:
                continue
            if not names:
                names = fields
                continue
            if len(fields) != len(names):
                raise DataError(f"{place}: found {len(fields)} fields, expected {len(names)}: {', '.join(names)}.")
            count += 1
            yield place, dict(zip(names, fields, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}:{before + 1}: broken CSV ({error}).") from None
    if not count:
        raise DataError(f"{path}: has no rows.")


def text(row: Mapping[str, Any], key: str, place: str) -> str:
    """A text of a row. Raises: DataError, where there is none."""
    found = row.get(key)
    if not isinstance(found, str) or not found.strip():
        raise DataError(f"{place}: {key}: found {'nothing' if found is None else repr(found)[:60]}, expected a text.")
    return found


def texts(row: Mapping[str, Any], key: str, place: str) -> list[str]:
    """Texts of a row. Raises: DataError, where there are none."""
    found = row.get(key)
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        raise DataError(f"{place}: {key}: found {'nothing' if found is None else repr(found)[:60]}, expected a list of texts.")
    return found


def number(row: Mapping[str, Any], key: str, place: str) -> int:
    """A whole number of a row. Raises: DataError, where there is none."""
    found = row.get(key)
    if not isinstance(found, int) or isinstance(found, bool):
        raise DataError(f"{place}: {key}: found {'nothing' if found is None else repr(found)[:60]}, expected a whole number.")
    return found
