"""A file: csv, tsv, json (an array of objects, or {"data": [...]}), jsonl, parquet, txt, xlsx; text files also packed (gz, bz2, xz, zst, zip)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.data.records import is_named_like_data
from tunesmith.data.sources._rows import table_of_rows
from tunesmith.data.sources._workbook import other_sheets
from tunesmith.data.table import Table

__all__ = ["Files"]


@dataclass(frozen=True, kw_only=True)
class Files:
    """Read one file, its kind told by the end of its name."""

    rank = 30

    def claims(self, source: Any) -> bool:
        """Whether `source` is a file, or is named like one or like a path."""
        if not isinstance(source, str | Path):
            return False
        path = Path(source).expanduser()
        is_path = isinstance(source, Path) or str(source).startswith(("/", "./", "../", "~", ".\\")) or path.is_absolute()
        return path.is_file() or is_named_like_data(path) or is_path

    def read(self, source: Any) -> Table:
        """Every row of the file. Raises: DataError."""
        path = Path(source).expanduser()
        return table_of_rows(path, str(source), notes=other_sheets(path, str(source)))
