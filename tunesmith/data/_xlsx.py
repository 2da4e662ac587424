"""Rows of Excel workbooks (.xlsx), one at a time: a zip archive of XML files, read with expat.

The first row of a sheet that is not empty names the columns. Of a formula, the value that was computed when the workbook was saved is read. Dates and times are ISO 8601
text. Document types and entities are refused, and so is what unpacks to too much.

Source: ECMA-376, Office Open XML, part 1, sections 18.3 (worksheets), 18.4 (shared strings), 18.8 (styles) and 22.4 (escaped characters).
"""

import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from tunesmith.core.errors import DataError, did_you_mean
from tunesmith.data._unpacking import Bytes, unpacking_fails
from tunesmith.data._xlsx_values import has_time, moment, number
from tunesmith.data.table import Record

__all__ = ["sheet_names", "sheet_rows"]

_MOST_STRINGS_BYTES = 256 * 2**20
"""Of all the texts that a workbook shares between its cells."""
_MOST_CELL_CHARACTERS = 2**20
"""Excel's own limit is 32,767."""
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_CELL = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")


def sheet_names(path: Path, name: str) -> list[str]:
    """The workbook's sheets, the first visible one first. Raises: DataError, where it is no whole workbook.

    Args:
        name: what messages call the file.
    """
    with _opened(path, name) as book:
        return list(book.sheets)


def sheet_rows(path: Path, name: str, sheet: str | None = None) -> Iterator[tuple[int, Record]]:
    """(row of the sheet, record) of a sheet; empty cells are None, empty rows are passed over.

    Args:
        name: what messages call the file.
        sheet: the sheet's name; None: the first that is visible.
    Raises: DataError, naming the row, where a cell holds an error or stands in a column without a name; where there is no such sheet.
    """
    with _opened(path, name) as book:
        if sheet is not None and sheet not in book.sheets:
            raise DataError(f'{name}: no sheet "{sheet}".{did_you_mean(sheet, book.sheets)}')
        _read_formats(book)
        _read_strings(book)
        member = book.sheets[sheet if sheet is not None else next(iter(book.sheets))]
        header: dict[int, str] = {}
        for row, cells in _cells(book, member):
            if header:
                yield row, _record(cells, header, f"{name}:{row}")
            else:
                header = _header(cells, f"{name}:{row}")


def _header(cells: Mapping[int, Any], where: str) -> dict[int, str]:
    header = {column: str(value).strip() for column, value in cells.items()}
    for column, title in header.items():
        if not title:
            raise DataError(f"{where}: the column {_letters(column)} has an empty name. Name it, or empty the cell.")
    twice = sorted(title for title in set(header.values()) if list(header.values()).count(title) > 1)
    if twice:
        raise DataError(f'{where}: the header names the column "{twice[0]}" twice. Rename one of them.')
    return header


def _record(cells: Mapping[int, Any], header: Mapping[int, str], where: str) -> Record:
    strange = next((column for column in cells if column not in header), None)
    if strange is not None:
        raise DataError(
            f"{where}: the cell in column {_letters(strange)} stands below no name in the header. Name the column, or empty the cell."
        )
    return {title: cells.get(column) for column, title in header.items()}


@dataclass
class _Book:
    """An open workbook."""

    archive: zipfile.ZipFile
    name: str
    sheets: dict[str, str] = field(default_factory=dict)
    """Name -> file in the archive."""
    strings: list[str] = field(default_factory=list)
    is_date: list[bool] = field(default_factory=list)
    """Of each cell format, whether its numbers are dates or times."""
    from_1904: bool = False

    def chunks(self, member: str) -> Iterator[bytes]:
        """A file of the archive, unpacked. Raises: DataError, where it is missing, locked, or unpacks to too much."""
        try:
            info = self.archive.getinfo(member)
        except KeyError:
            raise DataError(f"{self.name}: not a whole workbook: {member} is missing. Save it again as .xlsx.") from None
        if info.flag_bits & 1:
            raise DataError(f"{self.name}: the workbook has a password. Save it without.")
        with self.archive.open(info) as file:
            yield from Bytes(file, self.name, lambda: info.compress_size).chunks()

    def parse(
        self, member: str, start: Callable[..., None], end: Callable[..., None] = lambda tag: None, text: Any = None
    ) -> Iterator[None]:
        """Feed a file to expat, and stop after each part of it. `start` takes (tag, attributes), `end` a tag, both without name spaces."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = lambda tag, found: start(_local(tag), {_local(key): value for key, value in found.items()})
        parser.EndElementHandler = lambda tag: end(_local(tag))
        parser.CharacterDataHandler = text
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        try:
            for chunk in self.chunks(member):
                parser.Parse(chunk, False)
                yield
            parser.Parse(b"", True)
            yield
        except (expat.ExpatError, ValueError) as error:  # an attribute that should be a number, too
            raise DataError(f"{self.name}: not a whole workbook: {member} is broken ({error}). Save it again as .xlsx.") from None

    def _refuse(self, *_: Any) -> None:
        raise DataError(f"{self.name}: its XML declares a document type or entities, which no workbook needs. Save it again as .xlsx.")


@contextmanager
def _opened(path: Path, name: str) -> Iterator[_Book]:
    with unpacking_fails(name), zipfile.ZipFile(path) as archive:
        book = _Book(archive, name)
        _read_sheets(book)
        yield book


def _read_sheets(book: _Book) -> None:
    """The sheets of cells by their names, in the workbook's order, visible ones first."""
    found: list[tuple[bool, str, str]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "sheet":
            found.append((attributes.get("state", "visible") != "visible", attributes.get("name", ""), attributes.get("id", "")))
        elif tag == "workbookPr":
            book.from_1904 = attributes.get("date1904", "0") in ("1", "true")

    targets: dict[str, str] = {}

    def relation(tag: str, attributes: dict[str, str]) -> None:
        if tag == "Relationship" and attributes.get("Type", "").endswith("/worksheet"):
            targets[attributes.get("Id", "")] = posixpath.normpath(posixpath.join("/xl", attributes.get("Target", ""))).lstrip("/")

    _run(book.parse("xl/workbook.xml", start))
    _run(book.parse("xl/_rels/workbook.xml.rels", relation))
    book.sheets = {name: targets[key] for _, name, key in sorted(found, key=lambda sheet: sheet[0]) if key in targets}
    if not book.sheets:
        raise DataError(f"{book.name}: the workbook has no sheet of cells.")


def _read_formats(book: _Book) -> None:
    codes: dict[int, str] = {}
    in_cells = False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal in_cells
        if tag == "numFmt":
            codes[int(attributes.get("numFmtId", "0"))] = attributes.get("formatCode", "")
        elif tag == "cellXfs":
            in_cells = True
        elif tag == "xf" and in_cells:
            key = int(attributes.get("numFmtId", "0"))
            book.is_date.append(has_time(key, codes.get(key)))

    def end(tag: str) -> None:
        nonlocal in_cells
        in_cells = in_cells and tag != "cellXfs"

    if "xl/styles.xml" in book.archive.NameToInfo:
        _run(book.parse("xl/styles.xml", start, end))


def _read_strings(book: _Book) -> None:
    """Texts that cells name by their number; runs of one text are put together, and readings beside it (phonetic) left out."""
    parts: list[str] = []
    state = {"text": False, "phonetic": False}
    total = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        state["phonetic"] = state["phonetic"] or tag == "rPh"
        state["text"] = tag == "t"

    def end(tag: str) -> None:
        state["text"] = False
        if tag == "rPh":
            state["phonetic"] = False
        if tag == "si":
            book.strings.append(_unescaped("".join(parts)))
            parts.clear()
            count(64)  # what an empty text takes

    def count(size: int) -> None:
        nonlocal total
        total += size
        if total > _MOST_STRINGS_BYTES:
            raise DataError(f"{book.name}: more than {_MOST_STRINGS_BYTES // 2**20} MB of text. Save it as csv, which is read row by row.")

    def text(data: str) -> None:
        if state["text"] and not state["phonetic"]:
            parts.append(data)
            count(len(data))

    if "xl/sharedStrings.xml" in book.archive.NameToInfo:
        _run(book.parse("xl/sharedStrings.xml", start, end, text))


@dataclass
class _Reader:
    """Takes a sheet's elements as they come, and keeps the rows that are whole."""

    book: _Book
    rows: list[tuple[int, dict[int, Any]]] = field(default_factory=list)
    row: int = 0
    column: int = 0
    cells: dict[int, Any] = field(default_factory=dict)
    kind: str = "n"
    style: int = 0
    parts: list[str] = field(default_factory=list)
    is_formula: bool = False
    is_phonetic: bool = False
    reading: bool = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if tag == "row":
            self.row, self.column, self.cells = int(attributes.get("r", self.row + 1)), 0, {}
        elif tag == "c":
            placed = _CELL.fullmatch(attributes.get("r", ""))
            self.column = _index(placed[1]) if placed else self.column + 1
            self.kind, self.style = attributes.get("t", "n"), int(attributes.get("s", "0"))
            self.parts, self.is_formula = [], False
        elif tag == "f":
            self.is_formula = True
        elif tag == "rPh":
            self.is_phonetic = True
        self.reading = tag in ("v", "t") and not self.is_phonetic

    def text(self, data: str) -> None:
        """Characters between tags."""
        if self.reading:
            self.parts.append(data)
            if sum(map(len, self.parts)) > _MOST_CELL_CHARACTERS:
                raise DataError(f"{self.where}: the cell {self.cell} holds more than a million characters. Name a text file instead.")

    def end(self, tag: str) -> None:
        """An element ends."""
        self.reading = False
        if tag == "rPh":
            self.is_phonetic = False
        elif tag == "c":
            value = self._value("".join(self.parts))
            if value is not None:
                self.cells[self.column] = value
        elif tag == "row" and self.cells:
            self.rows.append((self.row, self.cells))

    @property
    def where(self) -> str:
        """File and row, for messages."""
        return f"{self.book.name}:{self.row}"

    @property
    def cell(self) -> str:
        """The cell as a spreadsheet program shows it: C7."""
        return f"{_letters(self.column)}{self.row}"

    def _value(self, text: str) -> Any:
        """What a cell holds; None where it is empty. Raises: DataError, naming the row."""
        if self.is_formula and not text and self.kind not in ("str", "inlineStr"):
            raise DataError(
                f"{self.where}: the cell {self.cell} holds a formula without its value. Open the workbook and save it, so that it is computed."
            )
        if self.kind in ("inlineStr", "str"):
            return _unescaped(text) or None
        if not text:
            return None
        if self.kind == "e":
            raise DataError(f"{self.where}: the cell {self.cell} holds the error {text}. Mend it, or remove the row.")
        if self.kind == "b":
            return text == "1"
        if self.kind == "d":
            return text
        try:
            if self.kind == "s":
                return self.book.strings[int(text)] or None
            value = number(text)
        except (ValueError, IndexError, OverflowError):
            raise DataError(
                f"{self.where}: the cell {self.cell} holds {text[:40]!r}, which is nothing that its kind may hold. Save the workbook again."
            ) from None
        is_date = self.style < len(self.book.is_date) and self.book.is_date[self.style]
        return moment(value, self.book.from_1904) if is_date else value


def _cells(book: _Book, member: str) -> Iterator[tuple[int, dict[int, Any]]]:
    """(row, column -> value) of each row that holds anything."""
    reader = _Reader(book)
    for _ in book.parse(member, reader.start, reader.end, reader.text):
        yield from reader.rows
        reader.rows.clear()


def _run(parts: Iterator[None]) -> None:
    for _ in parts:
        pass


def _local(tag: str) -> str:
    return tag.rpartition(" ")[2]


def _unescaped(text: str) -> str:
    """Characters that XML cannot hold are written as _x000D_."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _index(letters: str) -> int:
    """A -> 1, Z -> 26, AA -> 27."""
    index = 0
    for letter in letters:
        index = 26 * index + ord(letter) - 64
    return index


def _letters(index: int) -> str:
    letters = ""
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
