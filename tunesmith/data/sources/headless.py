"""A csv or tsv file without a header: `{table: sms.tsv, names: "label, text"}`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.data.quarantine import Quarantine
from tunesmith.data.records import is_table, require_content
from tunesmith.data.sources._paths import expanded
from tunesmith.data.sources._rows import table_of_rows, whole_path
from tunesmith.data.table import Table, shown

__all__ = ["Headless"]


@dataclass(frozen=True, kw_only=True)
class Headless:
    """Read a table whose first row is data already."""

    table: str
    """The file, .csv or .tsv, perhaps packed (gz, bz2, xz, zst, zip)."""
    names: str
    """What its columns are called, from the left, parted by commas: one name for each."""

    quarantines: ClassVar[bool] = True

    def whole_paths(self) -> dict[str, str]:
        """The option that is a path, from the root."""
        return {"table": whole_path(self.table)}

    def require(self, source: Any) -> None:
        """Raises: DataError, where there is no such file, or an empty one."""
        require_content(expanded(self.table), self.table)

    def read(self, source: Any, quarantine: Quarantine | None = None) -> Table:
        """Every row of the file. Raises: DataError, where there is no such table, two names are the same, or a row has more or fewer fields than there are names."""
        path = Path(self.table).expanduser()
        names = [name.strip() for name in self.names.split(",")]
        if not all(names) or len(set(names)) < len(names):
            raise DataError(f"{self.table}: names: {shown(self.names)}; expected a name of its own for every column, parted by commas.")
        if path.is_file() and not is_table(path):
            raise DataError(f"{self.table}: no .csv or .tsv file, whose columns could be named. Name the file alone.")
        return table_of_rows(path, self.table, names=names, quarantine=quarantine)
