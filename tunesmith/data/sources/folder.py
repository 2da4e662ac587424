"""A folder of text files, one sub-folder a class, as an unpacked aclImdb: `train/neg/*.txt`, `train/pos/*.txt`.

A folder that holds `train/` stands for its training part; name `FOLDER/test` to read the test part. A folder with text files of its own
and no classes is a set of texts.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin
from tunesmith.data.records import decode
from tunesmith.data.table import Record, Table, TableFacts

__all__ = ["Folder"]

_NOT_CLASSES = ("unsup", "train", "test", "validation", "valid", "dev")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Read the .txt files of a folder, each one example, labelled with the name of its sub-folder."""

    rank = 20

    def claims(self, source: Any) -> bool:
        """Whether `source` is a folder."""
        return isinstance(source, str | Path) and Path(source).expanduser().is_dir()

    def read(self, source: Any) -> Table:
        """Every text file. Raises: DataError, where there is none, or one that is empty or not UTF-8."""
        root, notes = Path(source).expanduser(), list[str]()
        if (root / "train").is_dir():
            root = root / "train"
            notes.append(f"{source}: read {source}/train; other parts are read only where they are named")
        files: list[tuple[Path, str | None]] = []
        for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
            texts = sorted(folder.glob("*.txt"), key=_natural)
            if folder.name in _NOT_CLASSES:
                if texts:
                    notes.append(f"{source}: {folder.name}/ ({len(texts)} files without a label) was left out")
                continue
            files += [(path, folder.name) for path in texts]
        if not files:
            files = [(path, None) for path in sorted(root.glob("*.txt"), key=_natural)]
        if not files:
            raise DataError(
                f"{source}: no text files. Expected {source}/CLASS/*.txt (as in aclImdb/train/neg) or {source}/*.txt; name any other file itself."
            )
        return self._table(source, files, root, notes)

    def _table(self, source: Any, files: list[tuple[Path, str | None]], root: Path, notes: list[str]) -> Table:
        digest, records, origins = hashlib.sha256(), list[Record](), list[Origin]()
        for path, label in files:
            shown = str(Path(source) / path.relative_to(Path(source).expanduser()))
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}\0{hashlib.sha256(content).hexdigest()}\n".encode())
            text = decode(content.removeprefix(b"\xef\xbb\xbf"), shown)
            if not text.strip():
                raise DataError(f"{shown}: the file is empty. Remove it or write its text.")
            records.append({"text": text} if label is None else {"text": text, "label": label})
            origins.append(Origin(shown, 1))
        return Table(records, origins, TableFacts(str(source), digest.hexdigest(), notes=tuple(notes)))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Orders 2_1.txt before 10_1.txt."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
