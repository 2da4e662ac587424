"""Documents by name, to be looked things up in: of a folder or a file, or the texts of any source.

A table (.csv, .jsonl, .parquet, ...) is read as one document a row, each column a line. What cannot be read is told and passed over: one broken file keeps nobody from the others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.files import hash_of
from tunesmith.data._documents import READERS, files_below, texts
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
    """A file that gave no text, and why."""

    name: str
    why: str


def read_library(source: str) -> Iterator[Document | Unread]:
    """The documents of a folder (in all its folders), of a file, or of a source such as `python-reference`, in a fixed order.

    Raises: DataError, FetchError, where the source itself is not there or gives no texts.
    """
    root = expanded(source)
    if is_folder(root):
        for path in library_files(root):
            yield from _of_file(path, path.relative_to(root).as_posix())
    elif is_file(root):
        yield from _of_file(root, root.name)
    else:
        yield from _of_source(source)


def library_files(root: Path) -> Iterator[Path]:
    """Every file below a folder, or the file that `root` is; none of those that an index of documents lies in."""
    if is_file(root):
        yield root
        return
    indexes = set[Path]()
    for path in files_below(root):
        if path.name == "index.json" and is_folder(path.with_name("passages")):
            indexes.add(path.parent)
        if indexes.isdisjoint(path.parents):
            yield path


def _of_file(path: Path, name: str) -> Iterator[Document | Unread]:
    is_document, count = path.suffix.lower() in READERS, 0
    if not is_document and not is_named_like_data(path):
        yield Unread(name, f"no document: files that end in {', '.join(READERS)}, and tables, are read.")
        return
    try:
        for number, text in texts(path, name, marks_headings=True) if is_document else _rows(path, name):
            count += 1
            yield Document(name if is_document and count == 1 and not _holds_several(path) else f"{name}#{number}", text)
    except (DataError, OSError) as error:
        yield Unread(name, str(error))
        return
    if not count:
        yield Unread(name, "holds no text. Where its pages are pictures, have them recognised (OCR) first.")


def _holds_several(path: Path) -> bool:
    return path.suffix.lower() == ".mbox"


def _rows(path: Path, name: str) -> Iterator[tuple[int, str]]:
    for number, record in iter_rows(path, name):
        text = "\n".join(f"{column}: {value}" for column, value in record.items() if str(value or "").strip())
        if text:
            yield number, text


def _of_source(source: Any) -> Iterator[Document]:
    """The texts of a source that a recipe could name. Raises: DataError, FetchError."""
    table = read_table(source)
    if "text" not in table.columns:
        raise DataError(f"{source}: gives {', '.join(table.columns)}, and no texts to look things up in.")
    for record, origin in zip(table.records, table.origins, strict=True):
        yield Document(str(record.get("topic") or record.get("document") or f"{origin.file}#{origin.row}"), str(record["text"]))
