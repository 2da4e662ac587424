"""Documents by name, to be looked things up in: of a folder or a file, or the texts of any source.

A table (.csv, .jsonl, .parquet, ...) is read as one document a row, each column a line. What cannot be read is told and passed over: one broken file keeps nobody from the others.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, one_line
from tunesmith.core.files import hash_of
from tunesmith.data._documents import READERS, files_below, texts
from tunesmith.data.quarantine import Quarantine
from tunesmith.data.read import read_table
from tunesmith.data.records import is_named_like_data, iter_rows
from tunesmith.data.sources._paths import expanded, is_file, is_folder

__all__ = ["Document", "Unread", "library_files", "read_library"]


@dataclass(frozen=True, slots=True)
class Document:
    """A text with a name."""

    name: str
    """Its path below the folder; `#` and a number after it, where its file holds several texts."""
    text: str

    @property
    def sha256(self) -> str:
        """Of the text."""
        return hash_of(self.text)


@dataclass(frozen=True, slots=True)
class Unread:
    """A file, a folder or a row that gave no text, and why."""

    name: str
    why: str
    is_broken: bool = False
    """Whether it may hold texts that could not be read this time."""

    def may_hold(self, document: str) -> bool:
        """Whether a document of that name could be of this file or folder."""
        beyond = document.removeprefix(self.name) if document.startswith(self.name) else None
        return self.is_broken and beyond is not None and (not beyond or bool(re.match(r"#\d+$|/", beyond)))


def read_library(source: str) -> Iterator[Document | Unread]:
    """The documents of a folder (in all its folders), of a file, or of a source such as `python-reference`, in a fixed order.

    Raises: DataError, FetchError, where the source itself is not there or gives no texts.
    """
    root = expanded(source)
    if is_folder(root):
        unreadable = list[OSError]()
        for path in library_files(root, unreadable.append):
            yield from _of_file(path, path.relative_to(root).as_posix())
        for error in unreadable:
            name = Path(str(error.filename)).relative_to(root).as_posix()
            yield Unread(name, f"a folder that cannot be read ({error.strerror}).", is_broken=True)
    elif is_file(root):
        yield from _of_file(root, root.name)
    else:
        yield from _of_source(source)


def library_files(root: Path, onerror: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Every file below a folder, or the file that `root` is; none of those that an index of documents lies in. `onerror`: as of `files_below`."""
    if is_file(root):
        yield root
        return
    indexes = set[Path]()
    for path in files_below(root, onerror):
        if path.name == "index.json" and _is_of_index(path):
            indexes.add(path.parent)
        if indexes.isdisjoint(path.parents):
            yield path


def _is_of_index(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b'"tunesmith/index/' in file.read(100)
    except OSError:
        return False


def _of_file(path: Path, name: str) -> Iterator[Document | Unread]:
    is_document, count, invalid = path.suffix.lower() in READERS, 0, Quarantine()
    if not is_document and not is_named_like_data(path):
        is_pdf = path.suffix.lower() == ".pdf"
        cure = (
            "to read PDF takes the package pypdf: pip install pypdf."
            if is_pdf
            else f"files that end in {', '.join(READERS)}, and tables, are read."
        )
        yield Unread(name, f"no document: {cure}", is_broken=is_pdf)
        return
    try:
        if not path.is_file():
            raise DataError("is a pipe, a device or a link to nowhere, and no file.")
        if path.stat().st_size:
            for number, text in texts(path, name, marks_headings=True) if is_document else _rows(path, name, invalid):
                count += 1
                made = Document(name if is_document and path.suffix.lower() != ".mbox" else f"{name}#{number}", _plain(text))
                (made.name + made.text).encode()
                yield made
    except UnicodeEncodeError:
        yield Unread(name, "its name or its text holds what is no character (a lone surrogate).", is_broken=True)
    except (DataError, OSError) as error:
        yield Unread(name, f"cannot be read: {one_line(error, 160)}", is_broken=True)
    else:
        if invalid.rows:
            yield Unread(name, invalid.summary(name))
        elif not count:
            yield Unread(name, "holds no text. Where its pages are pictures, have them recognised (OCR) first.")


def _plain(text: str) -> str:
    """With the line ends of Unix."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _rows(path: Path, name: str, invalid: Quarantine) -> Iterator[tuple[int, str]]:
    for number, record in iter_rows(path, name, quarantine=invalid):
        text = "\n".join(f"{column}: {value}" for column, value in record.items() if value is not None and str(value).strip())
        if text:
            yield number, text


def _of_source(source: Any) -> Iterator[Document]:
    """The texts of a source that a recipe could name. Raises: DataError, FetchError."""
    table = read_table(source)
    if "text" not in table.columns:
        raise DataError(f"{source}: gives {', '.join(table.columns)}, and no texts to look things up in.")
    names = [
        str(record.get("topic") or record.get("document") or origin.file)
        for record, origin in zip(table.records, table.origins, strict=True)
    ]
    seen = Counter(names)
    for name, record, origin in zip(names, table.records, table.origins, strict=True):
        text = _plain(str(record["text"] or ""))
        if text.strip():
            yield Document(name if seen[name] == 1 else f"{name}#{origin.row}", text)
