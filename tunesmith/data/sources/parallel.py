"""Pairs in two parallel files, line by line, as translations are published: `{source: train.en, target: train.de}`."""

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.files import file_sha256
from tunesmith.core.types import Origin
from tunesmith.data.records import iter_lines, require_content
from tunesmith.data.sources._paths import expanded, is_file, is_folder
from tunesmith.data.sources._rows import hash_of_files, whole_path
from tunesmith.data.table import Record, Table, TableFacts

__all__ = ["Parallel"]


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """Line n of the one file belongs to line n of the other. Lines that are empty in both are passed over; both may be packed (gz, bz2, xz, zst, zip)."""

    source: str
    """The file of source texts, one a line."""
    target: str
    """The file of target texts, as many lines."""

    def whole_paths(self) -> dict[str, str]:
        """The options that are paths, from the root."""
        return {"source": whole_path(self.source), "target": whole_path(self.target)}

    def require(self, source: Any) -> None:
        """Raises: DataError, where a file is missing, or one that is there cannot be read."""
        names = (self.source, self.target)
        missing = [name for name in names if not is_file(expanded(name)) and not is_folder(expanded(name))]
        if missing:
            raise DataError(
                f"{' and '.join(missing)}: no such file{'s' if len(missing) > 1 else ''} (relative paths start at {Path.cwd()}). Parallel texts are two files, "
                "of which line n of one belongs to line n of the other: data.train.source=FILE data.train.target=FILE."
            )
        for name in names:
            require_content(expanded(name), name)

    def read(self, source: Any) -> Table:
        """Every pair, with the columns source and target.

        Raises: DataError, where a file is missing, the numbers of lines differ, or a line is empty in one file only.
        """
        self.require(source)
        paths = [expanded(name) for name in (self.source, self.target)]
        lines = [iter_lines(path, name) for path, name in zip(paths, (self.source, self.target), strict=True)]
        records, origins, num_empty, counts, one_sided = list[Record](), list[Origin](), 0, [0, 0], list[str]()
        for number, pair in enumerate(zip_longest(*lines), start=1):
            counts = [number if line is not None else count for line, count in zip(pair, counts, strict=True)]
            if None in pair:
                continue  # counted to the end, for the message
            one, other = (str(line).rstrip("\r\n") for line in pair)
            if not one.strip() and not other.strip():
                num_empty += 1
                continue
            if not (one.strip() and other.strip()):
                one_sided.append(f"{self.target if one.strip() else self.source}:{number}")
                continue
            records.append({"source": one, "target": other})
            origins.append(Origin(self.source, number))
        if counts[0] != counts[1]:
            raise DataError(
                f"{self.source} has {counts[0]} lines and {self.target} has {counts[1]}, expected as many: line n of one belongs to line n of the other. "
                "Look for a line that was lost or broken in two."
            )
        if one_sided:
            raise DataError(f"{one_sided[0]}: the line is empty, and its pair in the other file is not. Remove both, or write it.")
        if not records:
            raise DataError(f"{self.source}, {self.target}: the files hold no pairs.")
        notes = (f"{self.source}: {num_empty} lines that are empty in both files were left out",) if num_empty else ()
        sha256 = hash_of_files((path.name, file_sha256(path)) for path in paths)
        return Table(records, origins, TableFacts(f"{self.source}, {self.target}", sha256, notes=notes))
