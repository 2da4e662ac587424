"""A file: csv, tsv, json (an array of objects, or {"data": [...]}), jsonl, parquet, txt; all but parquet also packed (gz, bz2, xz, zst, zip)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.files import file_sha256
from tunesmith.core.types import Origin
from tunesmith.data.quarantine import Quarantine
from tunesmith.data.records import is_named_like_data, iter_rows
from tunesmith.data.sources._paths import expanded, is_file
from tunesmith.data.table import Table, TableFacts

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

    def read(self, source: Any, quarantine: Quarantine | None = None) -> Table:
        """Every row of the file; those that cannot be read go into `quarantine`, where there is one. Raises: DataError."""
        path = expanded(source)
        records, origins = [], []
        for row, record in iter_rows(path, str(source), quarantine=quarantine):
            records.append(record)
            origins.append(Origin(str(source), row))
        if not records:
            if quarantine is not None:
                quarantine.refuse_all(str(source))
            raise DataError(f"{source}: the file holds no rows{' below its header' if path.suffix in ('.csv', '.tsv') else ''}.")
        return Table(records, origins, TableFacts(str(source), file_sha256(path)))
