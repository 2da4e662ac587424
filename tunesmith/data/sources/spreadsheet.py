"""One sheet of an Excel workbook: `{file: answers.xlsx, sheet: Reviews}`. A plain `answers.xlsx` is its first sheet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.data.records import require_content
from tunesmith.data.sources._paths import expanded
from tunesmith.data.sources._rows import table_of_rows, whole_path
from tunesmith.data.table import Table

__all__ = ["Spreadsheet"]


@dataclass(frozen=True, kw_only=True)
class Spreadsheet:
    """Read the rows of a sheet by its name; the sheet's first row that is not empty names the columns."""

    file: str
    """The workbook, an .xlsx file."""
    sheet: str
    """The sheet's name, as its tab shows it."""

    def whole_paths(self) -> dict[str, str]:
        """The option that is a path, from the root."""
        return {"file": whole_path(self.file)}

    def require(self, source: Any) -> None:
        """Raises: DataError, where there is no such file."""
        require_content(expanded(self.file), self.file)

    def read(self, source: Any) -> Table:
        """Every row of the sheet. Raises: DataError, where there is no such file or sheet, or a row is broken."""
        path = Path(self.file).expanduser()
        if path.suffix.lower() != ".xlsx":
            raise DataError(f"{self.file}: has no sheets, as it is no .xlsx file. Name the file alone.")
        return table_of_rows(path, self.file, sheet=self.sheet)
