"""Rows of data files, packed or plain, one at a time: csv, tsv, jsonl, parquet, txt and xlsx in bounded memory, json whole."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, did_you_mean
from tunesmith.data._unpacking import LONGEST_LINE, PACKED, inner_name, opened
from tunesmith.data._xlsx import sheet_rows
from tunesmith.data.table import Record
from tunesmith.data.tagged_lines import sentences

__all__ = ["SUFFIXES", "decode", "is_named_like_data", "iter_lines", "iter_records", "iter_rows"]

_CURE = "Convert it, for example: iconv -f LATIN1 -t UTF-8 {name} > new.csv"


def iter_records(path: str | Path, columns: Iterable[str] = ()) -> Iterator[Record]:
    """The records of a file, one at a time, in bounded memory (but for .json).

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


def iter_rows(path: Path, name: str | None = None, *, sheet: str | None = None) -> Iterator[tuple[int, Record]]:
    """(row, record) of a file; row is the line where the record begins (csv, tsv, jsonl, txt) or the sheet's row (xlsx), else its number, from 1.

    Args:
        name: what messages call the file; None: its path.
        sheet: of an .xlsx file, the sheet to read; None: its first.
    Raises: DataError.
    """
    shown = name or str(path)
    _require_content(path, shown)
    inner = inner_name(path, shown)
    suffix = Path(inner).suffix.lower()
    reader = SUFFIXES.get(suffix)
    if reader is None:
        ends = f"{', '.join(SUFFIXES)}, or in one of these and one of {', '.join([*PACKED, '.zip'])}"
        raise DataError(f"{shown}: a file of an unknown kind; its name should end in one of {ends}.")
    if suffix in (".parquet", ".xlsx") and inner != path.name:
        raise DataError(f"{shown}: a packed {suffix[1:]} file. Unpack it: such files are packed themselves.")
    yield from sheet_rows(path, shown, sheet) if sheet is not None else reader(path, shown)


def iter_lines(path: Path, name: str) -> Iterator[str]:
    """The lines of a text file, packed or plain, whatever its name, with their line ends. Raises: DataError."""
    _require_content(path, name)
    yield from _lines(path, name)


def _require_content(path: Path, name: str) -> None:
    if path.is_dir():
        raise DataError(f"{name}: is a folder, not a file.")
    if not path.is_file():
        raise DataError(f"{name}: no such file. Check the path (relative paths start at {Path.cwd()}).")
    if path.stat().st_size == 0:
        raise DataError(f"{name}: the file is empty (0 bytes). Check how it was written.")


def is_named_like_data(path: Path) -> bool:
    """Whether a file's name ends as one does that can be read."""
    suffix = path.suffix.lower()
    return suffix == ".zip" or (Path(path.stem).suffix.lower() if suffix in PACKED else suffix) in SUFFIXES


def decode(content: bytes, name: str, line: int | None = None, before_bytes: int = 0) -> str:
    """`content` as UTF-8 text.

    Args:
        line, before_bytes: where `content` begins in the file; line None: count the lines of `content`.
    Raises: DataError, naming line and byte, where it is not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise DataError(f"{name}: is UTF-16, not UTF-8. Convert it, for example: iconv -f UTF-16 -t UTF-8 {name} > new.csv") from None
        if content.startswith((b"\x89PNG", b"PK\x03\x04", b"%PDF", b"\x1f\x8b")) or b"\0" in content:
            raise DataError(f"{name}: is not a text file, whatever its name says. Name one of {', '.join(SUFFIXES)}.") from None
        line = line if line is not None else content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise DataError(
            f"{name}:{line}: not UTF-8: byte 0x{byte:02x} at offset {before_bytes + error.start}. {_CURE.format(name=name)}"
        ) from None


def _lines(path: Path, name: str) -> Iterator[str]:
    """The physical lines of a file, decoded, a byte order mark left out."""
    offset = 0
    with opened(path, name) as file:
        for number, raw in enumerate(file.lines(), start=1):
            content = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            yield decode(content, name, number, offset + len(raw) - len(content))
            offset += len(raw)


def _delimited(path: Path, name: str, delimiter: str, quoting: Any = csv.QUOTE_MINIMAL) -> Iterator[tuple[int, Record]]:
    csv.field_size_limit(LONGEST_LINE)  # texts are longer than the module's 128 kB
    reader = csv.reader(_lines(path, name), delimiter=delimiter, quoting=quoting, strict=True)
    begin, header = 1, list[str]()
    try:
        for fields in reader:
            row, begin = begin, reader.line_num + 1
            if not fields:
                continue
            if not header:
                header = [field.strip() for field in fields]
                _check_header(header, name)
            elif len(fields) == len(header):
                yield row, dict(zip(header, fields, strict=True))
            else:
                raise DataError(
                    f"{name}:{row}: {len(fields)} fields where the header has {len(header)}. "
                    f"Quote fields that hold {'a tab' if delimiter == chr(9) else f'a {delimiter!r}'} or a line break."
                )
    except csv.Error as error:
        raise DataError(f'{name}:{begin}: broken csv ({error}). Look for a quote (") that is not closed or not doubled.') from None


def _check_header(header: list[str], name: str) -> None:
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise DataError(f'{name}:1: the header names the column "{twice[0]}" twice. Rename one of them.')


def _csv(path: Path, name: str) -> Iterator[tuple[int, Record]]:
    """Comma-separated; with semicolons, as some spreadsheets write it, where the header has those and no comma."""
    first = next(_lines(path, name), "")
    return _delimited(path, name, ";" if ";" in first and "," not in first else ",")


def _tsv(path: Path, name: str) -> Iterator[tuple[int, Record]]:
    """Tab-separated. Quotes are quotes where the whole file reads so; else, as in many published sets, plain characters."""
    try:
        for _ in _delimited(path, name, "\t"):
            pass
    except DataError:
        return _delimited(path, name, "\t", csv.QUOTE_NONE)
    return _delimited(path, name, "\t")


def _jsonl(path: Path, name: str) -> Iterator[tuple[int, Record]]:
    for number, line in enumerate(_lines(path, name), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{name}:{number}: broken JSON: {error.msg}, column {min(error.pos, len(line.rstrip())) + 1}. Each line must be one JSON object."
            ) from None
        except RecursionError:
            raise DataError(f"{name}:{number}: JSON nested too deeply to read.") from None
        yield number, _object(value, name, number)


def _json(path: Path, name: str) -> Iterator[tuple[int, Record]]:
    try:
        with opened(path, name) as file:
            content = file.everything()
        value = json.loads(decode(content.removeprefix(b"\xef\xbb\xbf"), name))
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise DataError(f"{name}:{error.lineno}: more than one JSON document. Where each line is one, name the file .jsonl.") from None
        raise DataError(f"{name}:{error.lineno}: broken JSON: {error.msg}, column {error.colno}.") from None
    except RecursionError:
        raise DataError(f"{name}: JSON nested too deeply to read.") from None
    if isinstance(value, dict):
        value = value.get("data")
    if not isinstance(value, list):
        raise DataError(f'{name}: expected an array of objects, or {{"data": [...]}}.')
    number = 0
    for place, item in enumerate(value, start=1):
        for record in _questions(item) if isinstance(item, dict) and "paragraphs" in item else [item]:
            number += 1
            yield number, _object(record, name, place)


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


def _parquet(path: Path, name: str) -> Iterator[tuple[int, Record]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{name}: not a whole parquet file ({' '.join(str(error).split())[:120]}). Write it again.") from None


def _txt(path: Path, name: str) -> Iterator[tuple[int, Record]]:
    """Paragraphs parted by blank lines; lines, where the file has no blank line between texts."""
    blocks = _has_paragraphs(path, name)
    begin, block = 0, list[str]()
    for number, line in enumerate(_lines(path, name), start=1):
        if line.strip():
            begin = begin or number
            block.append(line)
        if block and (not blocks or not line.strip()):
            yield begin, {"text": "".join(block).rstrip()}
            begin, block = 0, []
    if block:
        yield begin, {"text": "".join(block).rstrip()}


def _tagged(path: Path, name: str) -> Iterator[tuple[int, Record]]:
    return sentences(_lines(path, name), name)


def _has_paragraphs(path: Path, name: str) -> bool:
    seen = blank = False
    for line in _lines(path, name):
        if not line.strip():
            blank = seen
        elif blank:
            return True
        else:
            seen = True
    return False


SUFFIXES: dict[str, Callable[[Path, str], Iterator[tuple[int, Record]]]] = {
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
