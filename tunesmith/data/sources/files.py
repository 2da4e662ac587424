"""A file: csv, tsv, json (an array of objects, or {"data": [...]}), jsonl, parquet, txt, xlsx; text files also packed (gz, bz2, xz, zst, zip)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.files import file_sha256
from tunesmith.core.types import Origin
from tunesmith.data.quarantine import Quarantine
from tunesmith.data.records import is_named_like_data, require_content
from tunesmith.data.sources._paths import expanded, is_file
from tunesmith.data.sources._rows import rows_of, size_unpacked, table_of_rows
from tunesmith.data.sources._workbook import other_sheets
from tunesmith.data.table import Record, Table, TableFacts

__all__ = ["Files"]


@dataclass(frozen=True, kw_only=True)
class Files:
    """Read one file, its kind told by the end of its name."""

    rank = 30
    quarantines: ClassVar[bool] = True

    def claims(self, source: Any) -> bool:
        """Whether `source` is a file, or is named like one or like a path."""
        if not isinstance(source, str | Path):
            return False
        path = expanded(source)
        is_path = isinstance(source, Path) or str(source).startswith(("/", "./", "../", "~", ".\\")) or path.is_absolute()
        return is_file(path) or is_named_like_data(path) or is_path

    def require(self, source: Any) -> None:
        """Raises: DataError, where there is no such file, or an empty one."""
        require_content(expanded(source), str(source))

    def num_bytes(self, source: Any) -> int:
        """Of the file, as it would be unpacked, about."""
        return size_unpacked(expanded(source))

    def stream(self, source: Any, quarantine: Quarantine | None = None) -> tuple[Iterator[tuple[Origin, Record]], TableFacts]:
        """The rows one at a time, and facts about the whole. Raises: DataError, also while rows are taken."""
        path = expanded(source)
        facts = TableFacts(str(source), file_sha256(path), notes=other_sheets(path, str(source)))
        return rows_of(path, str(source), quarantine), facts

    def read(self, source: Any, quarantine: Quarantine | None = None) -> Table:
        """Every row of the file; those that cannot be read go into `quarantine`, where there is one. Raises: DataError."""
        path = expanded(source)
        return table_of_rows(path, str(source), notes=other_sheets(path, str(source)), quarantine=quarantine)
