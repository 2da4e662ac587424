"""Rows of data files, packed or plain, one at a time and in bounded memory: csv, tsv, jsonl, json, parquet, txt, xlsx and conll."""

import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, did_you_mean, one_line
from tunesmith.data._decoding import BOM, decode, is_other_kind
from tunesmith.data._delimited import csv_rows, tsv_rows
from tunesmith.data._json import array_items, document
from tunesmith.data._lines import LONGEST_TEXT, Item, raw_lines, readable, text_lines
from tunesmith.data._unpacking import PACKED, inner_name, opened, refuse_too_much
from tunesmith.data._xlsx import sheet_rows
from tunesmith.data.quarantine import InvalidRow, Quarantine
from tunesmith.data.table import Record, shown
from tunesmith.data.tagged_lines import sentences

__all__ = ["SUFFIXES", "decode", "is_named_like_data", "is_table", "iter_lines", "iter_records", "iter_rows", "require_content"]

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
    path: Path, name: str | None = None, *, sheet: str | None = None, names: Sequence[str] = (), quarantine: Quarantine | None = None
) -> Iterator[tuple[int, Record]]:
    """(row, record) of a file; row is the line where the record begins (csv, tsv, jsonl, txt) or the sheet's row (xlsx), else its number, from 1.

    Args:
        name: what messages call the file; None: its path.
        sheet: of an .xlsx file, the sheet to read; None: its first.
        names: of the columns of a csv or tsv file without a header; none: its first row has them.
        quarantine: takes the rows that cannot be read; None: the first of them is an error.
    Raises: DataError.
    """
    shown_name = name or str(path)
    require_content(path, shown_name)
    inner = inner_name(path, shown_name)
    suffix = Path(inner).suffix.lower()
    if suffix not in SUFFIXES:
        ends = f"{', '.join(SUFFIXES)}, or in one of these and one of {', '.join([*PACKED, '.zip'])}"
        raise DataError(f"{shown_name}: a file of an unknown kind; its name should end in one of {ends}.")
    if suffix in (".parquet", ".xlsx") and inner != path.name:
        raise DataError(f"{shown_name}: a packed {suffix[1:]} file. Unpack it: such files are packed themselves.")
    for row, found in _items(path, shown_name, suffix, sheet, names):
        if not isinstance(found, InvalidRow):
            yield row, found
        elif quarantine is None:
            raise DataError(found.message)
        else:
            quarantine.add(found)


def _items(path: Path, name: str, suffix: str, sheet: str | None, names: Sequence[str]) -> Iterator[Item]:
    if sheet is not None:
        return sheet_rows(path, name, sheet)
    if names:
        return (tsv_rows if suffix == ".tsv" else csv_rows)(path, name, names)
    return SUFFIXES[suffix](path, name)


def iter_lines(path: Path, name: str) -> Iterator[str]:
    """The lines of a text file, packed or plain, whatever its name, with their line ends. Raises: DataError."""
    require_content(path, name)
    yield from text_lines(path, name)


def require_content(path: Path, name: str) -> None:
    """Raises: DataError, naming the file as `name`, where there is no file, or an empty one, or something else."""
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


def is_table(path: Path) -> bool:
    """Whether a file, packed or not, is a csv or tsv by its name. Raises: DataError, where it is a broken archive."""
    return Path(inner_name(path, str(path))).suffix.lower() in (".csv", ".tsv")


def is_named_like_data(path: Path) -> bool:
    """Whether a file's name ends as one does that can be read."""
    suffix = path.suffix.lower()
    return suffix == ".zip" or (Path(path.stem).suffix.lower() if suffix in PACKED else suffix) in SUFFIXES


def _jsonl(path: Path, name: str) -> Iterator[Item]:
    for number, offset, raw in raw_lines(path, name):
        content = raw.removeprefix(BOM)  # files that were joined have one in the middle
        try:
            line = decode(content, name, number, offset)
        except DataError as error:
            if number == 1 and is_other_kind(content):
                raise
            yield number, InvalidRow.of(error, name, number, readable(content).rstrip("\r\n"))
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
        raise DataError(f"{name}: not a whole parquet file ({one_line(error, 120)}). Write it again.") from None


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

    for number, offset, content in raw_lines(path, name):
        try:
            line = decode(content, name, number, offset)
        except DataError as error:
            if number == 1 and is_other_kind(content):
                raise
            line, bad = readable(content), bad or error
        if line.strip():
            begin = begin or number
            block.append(line)
            size += len(line)
        if size > LONGEST_TEXT:
            raise DataError(f"{name}:{begin}: a text of more than {LONGEST_TEXT:,} characters. Part it by blank lines.")
        if block and (not blocks or not line.strip()):
            yield item()
            begin, size, bad = 0, 0, None
            block.clear()
    if block:
        yield item()


def _tagged(path: Path, name: str) -> Iterator[Item]:
    yield from sentences(text_lines(path, name), name)


def _has_paragraphs(path: Path, name: str) -> bool:
    seen = blank = False
    for _, _, line in raw_lines(path, name):
        if not readable(line).strip():
            blank = seen
        elif blank:
            return True
        else:
            seen = True
    return False


SUFFIXES: dict[str, Callable[[Path, str], Iterator[Item]]] = {
    ".csv": csv_rows,
    ".tsv": tsv_rows,
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
