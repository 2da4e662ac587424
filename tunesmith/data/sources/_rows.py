"""What the sources share that read files: rows with the place where each was found."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tunesmith.core.errors import DataError
from tunesmith.core.files import file_sha256
from tunesmith.core.types import Origin
from tunesmith.data._unpacking import PACKED
from tunesmith.data.quarantine import Quarantine
from tunesmith.data.records import iter_rows
from tunesmith.data.sources._paths import is_file
from tunesmith.data.table import Record, Table, TableFacts

__all__ = ["hash_of_files", "rows_of", "size_unpacked", "table_of_rows", "whole_path"]

_UNPACKS_TO = 5


def table_of_rows(
    path: Path,
    shown: str,
    sha256: str | None = None,
    *,
    sheet: str | None = None,
    notes: Sequence[str] = (),
    quarantine: Quarantine | None = None,
) -> Table:
    """Every row of a file.

    Args:
        shown: what origins and messages call the file.
        sha256: of the file, where it is known already.
        sheet: of a workbook, the sheet to read; None: the first.
        quarantine: takes the rows that cannot be read; None: the first of them is an error.
    Raises: DataError, where the file or a row is broken, or there is none.
    """
    records, origins = list[Record](), list[Origin]()
    for row, record in iter_rows(path, shown, sheet=sheet, quarantine=quarantine):
        records.append(record)
        origins.append(Origin(shown, row))
    if not records:
        if quarantine is not None:
            quarantine.refuse_all(shown)
        headed = path.suffix.lower() in (".csv", ".tsv", ".xlsx")
        raise DataError(f"{shown}: the file holds no rows{' below its header' if headed else ''}.")
    return Table(records, origins, TableFacts(shown, sha256 or file_sha256(path), notes=tuple(notes)))


def rows_of(path: Path, shown: str, quarantine: Quarantine | None = None) -> Iterator[tuple[Origin, Record]]:
    """The rows of a file, one at a time. Raises: DataError, as they are taken."""
    return ((Origin(shown, row), record) for row, record in iter_rows(path, shown, quarantine=quarantine))


def size_unpacked(path: Path) -> int:
    """Bytes of a file; of a packed one, five times as many, as texts unpack to about that; 0 where there is none."""
    if not is_file(path):
        return 0
    return path.stat().st_size * (_UNPACKS_TO if path.suffix.lower() in (*PACKED, ".zip", ".parquet") else 1)


def hash_of_files(files: Iterable[tuple[str, str]]) -> str:
    """SHA-256, in hex, of several files: of their names and hashes, in their order."""
    return hashlib.sha256("".join(f"{name}\0{sha256}\n" for name, sha256 in files).encode()).hexdigest()


def whole_path(name: str) -> str:
    """A file's path from the root, so that it is found from any folder; the name as it is, where there is no such file."""
    path = Path(name).expanduser()
    return str(path.absolute()) if path.exists() else name
