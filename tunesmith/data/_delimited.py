"""Tables as text: fields parted by commas, semicolons or tabs."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.data._decoding import decode
from tunesmith.data._lines import LONGEST_TEXT, Item, raw_lines, readable, text_lines
from tunesmith.data.quarantine import InvalidRow
from tunesmith.data.table import shown

__all__ = ["csv_rows", "tsv_rows"]

_MANY_BYTES = 4 * 2**20
_MOST_FIELDS = 100_000


class _Fed:
    """The physical lines that a csv reader is fed: those it took for its last row, and what is wrong with their bytes, can be asked for."""

    def __init__(self, path: Path, name: str, delimiter: str) -> None:
        self._raw, self._name, self._delimiter = raw_lines(path, name), name, delimiter.encode()
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
            return readable(content)


def _rows(path: Path, name: str, delimiter: str, names: Sequence[str], quoting: Any = csv.QUOTE_MINIMAL) -> Iterator[Item]:
    csv.field_size_limit(LONGEST_TEXT)  # texts are longer than the module's 128 kB
    fed, header = _Fed(path, name, delimiter), list(names)
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
                InvalidRow.of(
                    wrong or _ragged(fields, header, delimiter, f"{name}:{row}", is_named=bool(names)),
                    name,
                    row,
                    "".join(fed.taken).rstrip("\r\n"),
                ),
            )


def _ragged(fields: list[str], header: list[str], delimiter: str, place: str, *, is_named: bool) -> DataError:
    part = "a tab" if delimiter == "\t" else repr(delimiter)
    expected = f"{len(header)} columns are named" if is_named else f"the header has {len(header)}"
    return DataError(f"{place}: {len(fields)} fields where {expected}. Quote fields that hold {part} or a line break.")


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


def csv_rows(path: Path, name: str, names: Sequence[str] = ()) -> Iterator[Item]:
    """Comma-separated; with semicolons, as some spreadsheets write it, where the first line has those and no comma. `names`: of the columns, where no header names them."""
    first = next(text_lines(path, name), "")
    return _rows(path, name, ";" if ";" in first and "," not in first else ",", names)


def tsv_rows(path: Path, name: str, names: Sequence[str] = ()) -> Iterator[Item]:
    """Tab-separated. Quotes are quotes where the whole file reads so; else, as in many published sets, plain characters. `names` as in `csv_rows`."""
    try:
        is_quoted = not any(isinstance(record, InvalidRow) for _, record in _rows(path, name, "\t", names))
    except DataError:
        is_quoted = False
    return _rows(path, name, "\t", names, csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE)
