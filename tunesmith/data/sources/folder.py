"""A folder of text files, one sub-folder a class, as an unpacked aclImdb: `train/neg/*.txt`, `train/pos/*.txt`.

A folder that holds `train/` stands for its training part; name `FOLDER/test` to read the test part. A folder with text files of its own
and no classes is a set of texts.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin
from tunesmith.data._decoding import BOM, decode
from tunesmith.data._unpacking import LONGEST_LINE
from tunesmith.data.quarantine import InvalidRow, Quarantine
from tunesmith.data.sources._paths import expanded, is_file, is_folder
from tunesmith.data.table import Record, Table, TableFacts

__all__ = ["Folder"]

_NOT_CLASSES = ("unsup", "train", "test", "validation", "valid", "dev")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Read the .txt files of a folder, each one example, labelled with the name of its sub-folder."""

    rank = 20
    quarantines: ClassVar[bool] = True

    def claims(self, source: Any) -> bool:
        """Whether `source` is a folder."""
        return isinstance(source, str | Path) and is_folder(expanded(source))

    def read(self, source: Any, quarantine: Quarantine | None = None) -> Table:
        """Every text file; those that are empty or not UTF-8 go into `quarantine`, where there is one. Raises: DataError, where there is none."""
        root, notes = expanded(source), list[str]()
        if (root / "train").is_dir():
            root = root / "train"
            notes.append(f"{source}: read {source}/train; other parts are read only where they are named")
        files: list[tuple[Path, str | None]] = []
        for folder in _folders(root, str(source)):
            if folder.resolve() in (root.resolve(), *root.resolve().parents):
                notes.append(f"{source}: {folder.name}/ is a link back to the folder itself, and was left out")
                continue
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
        return self._table(source, files, root, notes, quarantine)

    def _table(
        self, source: Any, files: list[tuple[Path, str | None]], root: Path, notes: list[str], quarantine: Quarantine | None
    ) -> Table:
        digest, records, origins = hashlib.sha256(), list[Record](), list[Origin]()
        for path, label in files:
            shown = str(Path(source) / path.relative_to(expanded(source)))
            content = _content(path, shown)
            digest.update(f"{path.relative_to(root).as_posix()}\0{hashlib.sha256(content).hexdigest()}\n".encode())
            try:
                text = _text(content, shown)
            except DataError as error:
                if quarantine is None:
                    raise
                quarantine.add(InvalidRow.of(error, shown, 1, content[:1000].decode("utf-8", "backslashreplace")))
                continue
            records.append({"text": text} if label is None else {"text": text, "label": label})
            origins.append(Origin(shown, 1))
        if not records and quarantine is not None:
            quarantine.refuse_all(str(source))
        return Table(records, origins, TableFacts(str(source), digest.hexdigest(), notes=tuple(notes)))


def _folders(root: Path, name: str) -> list[Path]:
    """The sub-folders that may be classes. Raises: DataError, where the folder may not be read."""
    try:
        return sorted(path for path in root.iterdir() if is_folder(path) and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{name}: the folder cannot be read ({error.strerror}).") from None


def _content(path: Path, name: str) -> bytes:
    """The bytes of a text file. Raises: DataError, where it cannot be read, or is too large for one text."""
    if not is_file(path):
        raise DataError(f"{name}: is no file that can be read. Remove it, or write it as text.")
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_LINE + 1)
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}).") from None
    if len(content) > LONGEST_LINE:
        raise DataError(f"{name}: more than {LONGEST_LINE // 2**20} MB in one file. Each file of a folder is one text: part it.")
    return content


def _text(content: bytes, name: str) -> str:
    """Raises: DataError, where it is not UTF-8, or empty."""
    text = decode(content.removeprefix(BOM), name)
    if not text.strip():
        raise DataError(f"{name}: the file is empty. Remove it or write its text.")
    return text


def _natural(path: Path) -> list[tuple[int, str]]:
    """Orders 2_1.txt before 10_1.txt."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
