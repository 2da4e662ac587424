"""Several files by a pattern, `data/*.jsonl`, read one after the other in the order of their names; `**` stands for folders of any depth."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.files import file_sha256
from tunesmith.core.types import Origin
from tunesmith.data.quarantine import Quarantine
from tunesmith.data.records import is_named_like_data
from tunesmith.data.sources._paths import expanded, is_file, is_folder
from tunesmith.data.sources._rows import hash_of_files, rows_of, size_unpacked, table_of_rows
from tunesmith.data.table import Record, Table, TableFacts

__all__ = ["Globs"]


@dataclass(frozen=True, kw_only=True)
class Globs:
    """Read every file that a pattern matches; each row's origin names its own file."""

    rank = 25
    quarantines = True

    def claims(self, source: Any) -> bool:
        """Whether `source` holds `*` or `?`, or is named like data and holds `[...]`, and is no file itself.

        `imdb:train[:10%]` is a part of a hub data set, not a pattern.
        """
        if not isinstance(source, str | Path) or is_file(expanded(source)) or is_folder(expanded(source)):
            return False
        text = str(source)
        return "://" not in text and (not {"*", "?"}.isdisjoint(text) or ("[" in text and is_named_like_data(Path(text))))

    def require(self, source: Any) -> None:
        """Raises: DataError, where no file matches."""
        self._paths(source)

    def read(self, source: Any, quarantine: Quarantine | None = None) -> Table:
        """Every row of every file; those that cannot be read go into `quarantine`, where there is one. Raises: DataError, where no file matches, or one is broken."""
        pattern, paths = str(source), self._paths(source)
        records, origins, hashes = list[Record](), list[Origin](), list[tuple[str, str]]()
        for path in paths:
            table = table_of_rows(path, str(path), quarantine=quarantine)
            records += table.records
            origins += table.origins
            hashes.append((path.name, table.facts.sha256))
        return Table(records, origins, TableFacts(pattern, hash_of_files(hashes), notes=(_told(pattern, paths),)))

    def num_bytes(self, source: Any) -> int:
        """Of all files, as they would be unpacked, about."""
        return sum(size_unpacked(path) for path in self._paths(source))

    def stream(self, source: Any, quarantine: Quarantine | None = None) -> tuple[Iterator[tuple[Origin, Record]], TableFacts]:
        """The rows of one file after the other, one at a time, and facts about the whole. Raises: DataError, also while rows are taken."""
        pattern, paths = str(source), self._paths(source)
        rows = chain.from_iterable(rows_of(path, str(path), quarantine) for path in paths)
        sha256 = hash_of_files((path.name, file_sha256(path)) for path in paths)
        return rows, TableFacts(pattern, sha256, notes=(_told(pattern, paths),))

    def _paths(self, source: Any) -> list[Path]:
        pattern = str(source)
        matches = sorted(glob.iglob(str(expanded(source)), recursive=True))  # noqa: PTH207  (a pattern from the root, too)
        paths = [Path(match) for match in matches if Path(match).is_file()]
        if not paths:
            found = f"matches only folders ({', '.join(matches[:3])})" if matches else f"no file matches (looked in {Path.cwd()})"
            raise DataError(f"{pattern}: {found}. Check the pattern; `**/*.jsonl` looks into folders of any depth.")
        return paths


def _told(pattern: str, paths: Sequence[Path]) -> str:
    files = "1 file" if len(paths) == 1 else f"{len(paths)} files, {paths[0]} to {paths[-1]}"
    return f"{pattern}: read {files}"
