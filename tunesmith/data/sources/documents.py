"""A folder of documents, read as raw texts: .txt, .md, .rst, .html, .docx, .pdf, and mail as .mbox and .eml, in all its folders.

`documents:FOLDER` names any folder; a folder that holds a document other than .txt is read so without the word, unless its .txt files lie one folder a class.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.files import file_sha256
from tunesmith.core.types import Origin
from tunesmith.data._documents import READERS, files_below, texts
from tunesmith.data.sources._aliases import DOCUMENTS
from tunesmith.data.sources._paths import expanded, is_folder
from tunesmith.data.table import Record, Table, TableFacts

__all__ = ["Documents"]


@dataclass(frozen=True, kw_only=True)
class Documents:
    """Read each document as a text, each message of a mailbox as one."""

    rank = 15

    def claims(self, source: Any) -> bool:
        """Whether `source` is called so, or is a folder of documents and not of one folder a class."""
        if isinstance(source, str) and source.startswith(DOCUMENTS):
            return True
        root = expanded(source) if isinstance(source, str | Path) else None
        if root is None or not is_folder(root) or any(root.glob("*/*.txt")) or (root / "train").is_dir():
            return False
        return any(path.suffix.lower() != ".txt" and path.suffix.lower() in READERS for path in files_below(root))

    def require(self, source: Any) -> None:
        """Raises: DataError, where there is no such folder."""
        if not is_folder(expanded(str(source).removeprefix(DOCUMENTS))):
            raise DataError(f"{source}: no such folder. Name one that holds documents ({', '.join(READERS)}).")

    def read(self, source: Any) -> Table:
        """Every text. Raises: DataError, where there is none, or a document cannot be read."""
        self.require(source)
        folder = str(source).removeprefix(DOCUMENTS)
        root = expanded(folder)
        digest, others, empty = hashlib.sha256(), Counter[str](), 0
        records, origins = list[Record](), list[Origin]()
        for path in files_below(root):
            inner = path.relative_to(root).as_posix()
            if path.suffix.lower() not in READERS:
                others[path.suffix.lower() or "no ending"] += 1
                continue
            shown, before = str(Path(folder) / inner), len(records)
            digest.update(f"{inner}\0{file_sha256(path)}\n".encode("utf-8", "surrogatepass"))
            for number, text in texts(path, shown):
                records.append({"text": text, "document": inner})
                origins.append(Origin(shown, number))
            empty += len(records) == before
        if not records:
            raise DataError(f"{source}: no document with text in it. Expected files that end in {', '.join(READERS)}.")
        notes = []
        if others:
            kinds = ", ".join(f"{suffix} ({count})" for suffix, count in sorted(others.items()))
            notes.append(f"{source}: files of other kinds were left out: {kinds}")
        if empty:
            notes.append(f"{source}: {empty} documents without text were left out")
        return Table(records, origins, TableFacts(str(source), digest.hexdigest(), notes=tuple(notes), beside=("document",)))
