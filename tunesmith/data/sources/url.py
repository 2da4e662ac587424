"""A file at an https address, pinned by its hash: `{url: https://example.org/rows.jsonl, sha256: ...}`.

Fetched once into the cache, through pip's proxy and certificates, and read as a file of the address's last part would be. Redirects to anything but https are not
followed. Nothing is fetched that a recipe does not name.
"""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.core.fetch import fetch_url
from tunesmith.data.quarantine import Quarantine
from tunesmith.data.sources._rows import table_of_rows
from tunesmith.data.table import Table

__all__ = ["Url"]


@dataclass(frozen=True, kw_only=True)
class Url:
    """Fetch one file, and read it."""

    url: str
    """The file's https address; its path ends as the file's kind does, such as `.jsonl` or `.csv.gz`."""
    sha256: str
    """SHA-256 of the file, in hex: `sha256sum FILE` prints it."""
    most_mb: int = 1024
    """A larger file is refused."""

    quarantines: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raises: ValueError, for what is no hash, or no size."""
        if not re.fullmatch(r"[0-9a-fA-F]{64}", self.sha256):
            raise ValueError(f"sha256: expected 64 hexadecimal digits, found {self.sha256[:70]!r}. `sha256sum FILE` prints them.")
        if self.most_mb < 1:
            raise ValueError(f"most_mb: expected at least 1, found {self.most_mb}.")

    def whole_paths(self) -> dict[str, str]:
        """No option is a path."""
        return {}

    def read(self, source: Any, quarantine: Quarantine | None = None) -> Table:
        """Every row of the file; those that cannot be read go into `quarantine`, where there is one. Raises: FetchError, where it cannot be had; DataError, where it cannot be read."""
        path = fetch_url(self.url, self.sha256.lower(), most_bytes=self.most_mb * 10**6)
        return table_of_rows(path, self.url, self.sha256.lower(), quarantine=quarantine)
