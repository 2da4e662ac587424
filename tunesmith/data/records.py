"""Rows of data files, packed or plain, one at a time and in bounded memory: csv, tsv, jsonl, json, parquet, txt, xlsx and conll."""

import csv
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, did_you_mean
from tunesmith.data._decoding import BOM, decode, is_other_kind
from tunesmith.data._json import array_items, document
from tunesmith.data._unpacking import PACKED, inner_name, opened, refuse_too_much
from tunesmith.data._xlsx import sheet_rows
from tunesmith.data.quarantine import InvalidRow, Quarantine
from tunesmith.data.table import Record, shown
from tunesmith.data.tagged_lines import sentences

__all__ = ["SUFFIXES", "decode", "is_named_like_data", "iter_lines", "iter_records", "iter_rows"]

Item = tuple[int, Record | InvalidRow]
"""What a reader finds: where it begins, and the record, or what keeps it from being one. What keeps the file from being read is raised."""

_LONGEST_FIELD = 16 * 2**20
"""Characters. A longer field of a table, or paragraph of a text, is no example."""
_MANY_BYTES = 4 * 2**20
_MOST_FIELDS = 100_000
_BATCH_BYTES = 64 * 2**20


def iter_records(path: str | Path, columns: Iterable[str] = ()) -> Iterator[Record]:
    """The records of a file, one at a time, in bounded memory.

    Args:
        columns: names that every record must have.
    Raises: DataError, where the file or a row is broken, or a column is missing.
    """
    wanted = tuple(columns)
    for row, record in iter_rows(Path(path)):
        for name in wanted:
            if name not in record:
                raise DataError(f'{path}:{row}: no column "{name}".{did_you_mean(name, record)}')
        yield record


def iter_rows(
    path: Path, name: str | None = None, *, sheet: str | None = None, quarantine: Quarantine | None = None
) -> Iterator[tuple[int, Record]]:
    """(row, record) of a file; row is the line where the record begins (csv, tsv, jsonl, txt) or the sheet's row (xlsx), else its number, from 1.

    Args:
        name: what messages call the file; None: its path.
        sheet: of an .xlsx file, the sheet to read; None: its first.
        quarantine: takes the rows that cannot be read; None: the first of them is an error.
    Raises: DataError.
    """
    shown_name = name or str(path)
    _require_content(path, shown_name)
    inner = inner_name(path, shown_name)
    suffix = Path(inner).suffix.lower()
    reader = SUFFIXES.get(suffix)
    if reader is None:
        ends = f"{', '.join(SUFFIXES)}, or in one of these and one of {', '.join([*PACKED, '.zip'])}"
        raise DataError(f"{shown_name}: a file of an unknown kind; its name should end in one of {ends}.")
    if suffix in (".parquet", ".xlsx") and inner != path.name:
        raise DataError(f"{shown_name}: a packed {suffix[1:]} file. Unpack it: such files are packed themselves.")
    for row, found in sheet_rows(path, shown_name, sheet) if sheet is not None else reader(path, shown_name):
        if not isinstance(found, InvalidRow):
            yield row, found
        elif quarantine is None:
            raise DataError(found.message)
        else:
            quarantine.add(found)


def iter_lines(path: Path, name: str) -> Iterator[str]:
    """The lines of a text file, packed or plain, whatever its name, with their line ends. Raises: DataError."""
    _require_content(path, name)
    yield from _lines(path, name)


def _require_content(path: Path, name: str) -> None:
    """Raises: DataError, where there is no file, or an empty one, or something else."""
    try:
        mode, size = (status := path.stat()).st_mode, status.st_size
    except FileNotFoundError:
        if path.is_symlink():
            raise DataError(f"{name}: a link to {shown(str(path.readlink()))}, which is not there.") from None
        raise DataError(f"{name}: no such file. Check the path (relative paths start at {Path.cwd()}).") from None
    except (OSError, ValueError) as error:  # links in a circle, a folder that may not be entered, a name that is too long or has a NUL
        raise DataError(f"{name[:200]}: cannot be read ({getattr(error, 'strerror', None) or error}). Check the path.") from None
    if stat.S_ISDIR(mode):
        raise DataError(f"{name}: is a folder, not a file.")
    if not stat.S_ISREG(mode):
        raise DataError(f"{name}: is a pipe or a device, not a file. Write it into a file first.")
    if size == 0:
        raise DataError(f"{name}: the file is empty (0 bytes). Check how it was written.")


def is_named_like_data(path: Path) -> bool:
    """Whether a file's name ends as one does that can be read."""
    suffix = path.suffix.lower()
    return suffix == ".zip" or (Path(path.stem).suffix.lower() if suffix in PACKED else suffix) in SUFFIXES


def _raw_lines(path: Path, name: str) -> Iterator[tuple[int, int, bytes]]:
    """(number, offset, content) of the physical lines of a file, a byte order mark left out."""
    offset = 0
    with opened(path, name) as file:
        for number, raw in enumerate(file.lines(), start=1):
            content = raw.removeprefix(BOM) if number == 1 else raw
            yield number, offset + len(raw) - len(content), content
            offset += len(raw)


def _lines(path: Path, name: str) -> Iterator[str]:
    """The physical lines of a file, decoded, a byte order mark left out."""
    for number, offset, content in _raw_lines(path, name):
        yield decode(content, name, number, offset)


def _readable(content: bytes) -> str:
    """Bytes that are not UTF-8 as text for people."""
    return content.decode("utf-8", "backslashreplace")


class _Fed:
    """The physical lines that a csv reader is fed: those it took for its last row, and what is wrong with their bytes, can be asked for."""

    def __init__(self, path: Path, name: str, delimiter: str) -> None:
        self._raw, self._name, self._delimiter = _raw_lines(path, name), name, delimiter.encode()
        self._again = list[str]()
        self.taken = list[str]()
        """The lines of the row, as text; bytes that are not UTF-8 are spelled out."""
        self.number = 0
        """Of the last line taken."""
        self.bad: dict[int, DataError] = {}
        """Line -> what is wrong with its bytes."""

    def lines(self) -> Iterator[str]:
        """Every line, from where it was left."""
        while self._again:
            yield self._take(self._again.pop(), self.number + 1)
        for number, offset, content in self._raw:
            try:
                if b"\0" in content:
                    raise ValueError
                line = content.decode("utf-8")
            except ValueError:
                line = self._bad_line(content, number, offset)
            if len(content) > _MANY_BYTES and content.count(self._delimiter) > _MOST_FIELDS:
                raise DataError(f"{self._name}:{number}: more than {_MOST_FIELDS:,} fields in one row. Each row is one example.")
            yield self._take(line, number)

    def bad_in(self, row: int) -> DataError | None:
        """What is wrong with the bytes of the row that begins at line `row`, and ends with the last line taken."""
        if not self.bad:
            return None
        found = next((error for number, error in self.bad.items() if row <= number <= self.number), None)
        self.bad = {
            number: error for number, error in self.bad.items() if number > self.number
        }  # what is behind is not looked through again
        return found

    def put_back(self) -> None:
        """All taken lines but the first are to be read again: a quote that is never closed has swallowed them."""
        self._again += reversed(self.taken[1:])
        self.number -= len(self.taken) - 1

    def _take(self, line: str, number: int) -> str:
        self.taken.append(line)
        self.number = number
        return line

    def _bad_line(self, content: bytes, number: int, offset: int) -> str:
        try:
            return decode(content, self._name, number, offset)
        except DataError as error:
            if number == 1:
                raise
            self.bad[number] = error
            return _readable(content)


def _delimited(path: Path, name: str, delimiter: str, quoting: Any = csv.QUOTE_MINIMAL) -> Iterator[Item]:
    csv.field_size_limit(_LONGEST_FIELD)  # texts are longer than the module's 128 kB
    fed, header = _Fed(path, name, delimiter), list[str]()
    reader = csv.reader(fed.lines(), delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        row = fed.number + 1
        fed.taken.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            refusal = DataError(f"{name}:{row}: broken csv ({error}). {_csv_cure(error)}")
            if not header:
                raise refusal from None
            yield row, InvalidRow.of(refusal, name, row, fed.taken[0].rstrip("\r\n"))
            fed.put_back()
            reader = csv.reader(fed.lines(), delimiter=delimiter, quoting=quoting, strict=True)
            continue
        if not fields:
            continue
        wrong = fed.bad_in(row)
        if wrong is None and not header:
            header = [field.strip() for field in fields]
            _check_header(header, name)
        elif wrong is None and len(fields) == len(header):
            yield row, dict(zip(header, fields, strict=True))
        else:
            yield (
                row,
                InvalidRow.of(wrong or _ragged(fields, header, delimiter, f"{name}:{row}"), name, row, "".join(fed.taken).rstrip("\r\n")),
            )


def _ragged(fields: list[str], header: list[str], delimiter: str, place: str) -> DataError:
    part = "a tab" if delimiter == "\t" else repr(delimiter)
    return DataError(f"{place}: {len(fields)} fields where the header has {len(header)}. Quote fields that hold {part} or a line break.")


def _csv_cure(error: csv.Error) -> str:
    if "new-line character" in str(error):
        return "Its lines seem to end in carriage returns alone: convert it, for example: tr '\\r' '\\n' < FILE > new.csv"
    return 'Look for a quote (") that is not closed or not doubled.'


def _check_header(header: list[str], name: str) -> None:
    twice = sorted(column for column, count in Counter(header).items() if count > 1)
    if twice == [""]:
        raise DataError(f"{name}:1: the header has {header.count('')} columns without a name. Name them, or remove them.")
    if twice:
        raise DataError(f"{name}:1: the header names the column {shown(twice[-1])} twice. Rename one of them.")


def _csv(path: Path, name: str) -> Iterator[Item]:
    """Comma-separated; with semicolons, as some spreadsheets write it, where the header has those and no comma."""
    first = next(_lines(path, name), "")
    return _delimited(path, name, ";" if ";" in first and "," not in first else ",")


def _tsv(path: Path, name: str) -> Iterator[Item]:
    """Tab-separated. Quotes are quotes where the whole file reads so; else, as in many published sets, plain characters."""
    try:
        is_quoted = not any(isinstance(record, InvalidRow) for _, record in _delimited(path, name, "\t"))
    except DataError:
        is_quoted = False
    return _delimited(path, name, "\t", csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE)


def _jsonl(path: Path, name: str) -> Iterator[Item]:
    for number, offset, raw in _raw_lines(path, name):
        content = raw.removeprefix(BOM)  # files that were joined have one in the middle
        try:
            line = decode(content, name, number, offset)
        except DataError as error:
            if number == 1 and is_other_kind(content):
                raise
            yield number, InvalidRow.of(error, name, number, _readable(content).rstrip("\r\n"))
            continue
        if not line.strip():
            continue
        try:
            record = _object(document(line, f"{name}:{number}"), name, number)
        except DataError as error:
            yield number, InvalidRow.of(error, name, number, line.rstrip("\r\n"))
        else:
            yield number, record


def _json(path: Path, name: str) -> Iterator[Item]:
    number = 0
    with opened(path, name) as file:
        for place, item in enumerate(array_items(file.chunks(), name), start=1):
            for found in _questions(item) if isinstance(item, dict) and "paragraphs" in item else [item]:
                number += 1
                try:
                    record = _object(found, name, place)
                except DataError as error:
                    yield number, InvalidRow.of(error, name, number, found)
                else:
                    yield number, record


def _questions(article: dict[str, Any]) -> list[Any]:
    """The questions of an article of SQuAD's own files, each with its context."""
    try:
        return [
            {"title": article.get("title"), "context": paragraph["context"], **question}
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        ]
    except (KeyError, TypeError):
        return [article]


def _object(value: Any, name: str, number: int) -> Record:
    if not isinstance(value, dict):
        raise DataError(f'{name}:{number}: found {type(value).__name__}, expected a JSON object such as {{"text": ...}}.')
    return value


def _parquet(path: Path, name: str) -> Iterator[Item]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number, num_bytes, num_packed = 0, 0, path.stat().st_size
    try:
        with path.open("rb") as opened_file, pq.ParquetFile(opened_file) as file:
            _check_columns(file.schema_arrow.names, name)
            groups = [file.metadata.row_group(index).total_byte_size for index in range(file.metadata.num_row_groups)]
            refuse_too_much(sum(groups), num_packed, name)
            # one row may be as large as its group: a page of one value that a thousand rows repeat
            size = min(1024, max(32, _BATCH_BYTES // max(1, *groups, 1)))
            for batch in file.iter_batches(batch_size=size):
                num_bytes += batch.nbytes
                refuse_too_much(num_bytes, num_packed, name)
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except PermissionError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}).") from None
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DataError(f"{name}: not a whole parquet file ({' '.join(str(error).split())[:120]}). Write it again.") from None


def _check_columns(names: list[str], name: str) -> None:
    twice = sorted(column for column, count in Counter(names).items() if count > 1)
    if twice:
        raise DataError(f"{name}: two of its columns are called {shown(twice[0])}. Rename one of them.")


def _txt(path: Path, name: str) -> Iterator[Item]:
    """Paragraphs parted by blank lines; lines, where the file has no blank line between texts."""
    blocks = _has_paragraphs(path, name)
    begin, size, block = 0, 0, list[str]()
    bad: DataError | None = None

    def item() -> Item:
        text = "".join(block).rstrip()
        return begin, {"text": text} if bad is None else InvalidRow.of(bad, name, begin, text)

    for number, offset, content in _raw_lines(path, name):
        try:
            line = decode(content, name, number, offset)
        except DataError as error:
            if number == 1 and is_other_kind(content):
                raise
            line, bad = _readable(content), bad or error
        if line.strip():
            begin = begin or number
            block.append(line)
            size += len(line)
        if size > _LONGEST_FIELD:
            raise DataError(f"{name}:{begin}: a text of more than {_LONGEST_FIELD:,} characters. Part it by blank lines.")
        if block and (not blocks or not line.strip()):
            yield item()
            begin, size, bad = 0, 0, None
            block.clear()
    if block:
        yield item()


def _tagged(path: Path, name: str) -> Iterator[Item]:
    yield from sentences(_lines(path, name), name)


def _has_paragraphs(path: Path, name: str) -> bool:
    seen = blank = False
    for _, _, line in _raw_lines(path, name):
        if not _readable(line).strip():
            blank = seen
        elif blank:
            return True
        else:
            seen = True
    return False


SUFFIXES: dict[str, Callable[[Path, str], Iterator[Item]]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".json": _json,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".parquet": _parquet,
    ".txt": _txt,
    ".conll": _tagged,
    ".bio": _tagged,
    ".iob2": _tagged,
    ".xlsx": sheet_rows,
}
"""End of a file's name -> its reader."""
