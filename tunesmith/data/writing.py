"""Records into a file: jsonl, csv, tsv or parquet, one at a time."""

import contextlib
import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from tunesmith.core.errors import DataError, one_line
from tunesmith.data.table import Record

__all__ = ["WRITTEN", "parquet_schema", "record_writer", "text_writer"]

WRITTEN = (".jsonl", ".csv", ".tsv", ".parquet")
"""Ends of the names of files that can be written."""
_CHUNK = 1000


@contextlib.contextmanager
def record_writer(path: Path, suffix: str, columns: Sequence[str], schema: Any = None) -> Iterator[Callable[[Record], object]]:
    """What writes a record into `path`, while the block runs.

    Args:
        suffix: one of `WRITTEN`; `path` may have another, while it is not whole.
        columns: of all records.
        schema: of a parquet file, as `parquet_schema` finds it.
    Raises: DataError, for a record that a parquet file of this schema cannot hold.
    """
    if suffix == ".parquet":
        with _parquet_writer(path, columns, schema) as write:
            yield write
        return
    # what JSON can spell and UTF-8 cannot, half of a character, is written as JSON spells it
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as target:
        yield text_writer(target, suffix, columns)


def text_writer(target: IO[str], suffix: str, columns: Sequence[str]) -> Callable[[Record], object]:
    """What writes a record as a line of .jsonl, .csv or .tsv; in the latter two, lists and objects are JSON text."""
    if suffix == ".jsonl":
        return lambda record: target.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
    rows = csv.DictWriter(target, columns, delimiter="\t" if suffix == ".tsv" else ",")
    rows.writeheader()
    return lambda record: rows.writerow({name: _cell(value) for name, value in record.items()})


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else value


def parquet_schema(records: Iterable[Record], columns: Sequence[str], name: str) -> Any:
    """The pyarrow schema that holds every record. Raises: DataError, where a column holds values of several kinds."""
    import pyarrow as pa

    found = None
    for chunk in _chunks(records):
        schema = _table(chunk, columns, None, name).schema
        try:
            found = schema if found is None else pa.unify_schemas([found, schema], promote_options="permissive")
        except pa.ArrowException as error:
            raise DataError(_not_one_kind(name, error)) from None
    return found if found is not None else pa.schema([(column, pa.null()) for column in columns])


@contextlib.contextmanager
def _parquet_writer(path: Path, columns: Sequence[str], schema: Any) -> Iterator[Callable[[Record], object]]:
    import pyarrow.parquet as pq

    waiting = list[Record]()
    with pq.ParquetWriter(path, schema) as target:

        def flush() -> None:
            target.write_table(_table(waiting, columns, schema, path.name))
            waiting.clear()

        def write(record: Record) -> None:
            waiting.append(record)
            if len(waiting) >= _CHUNK:
                flush()

        yield write
        if waiting:
            flush()


def _table(records: Sequence[Record], columns: Sequence[str], schema: Any, name: str) -> Any:
    import pyarrow as pa

    try:
        arrays = [
            pa.array([record.get(column) for record in records], None if schema is None else schema.field(column).type)
            for column in columns
        ]
    except (pa.ArrowException, ValueError, OverflowError, TypeError) as error:
        raise DataError(_not_one_kind(name, error)) from None
    return pa.table(arrays, names=list(columns)) if schema is None else pa.table(arrays, schema=schema)


def _not_one_kind(name: str, error: Exception) -> str:
    said = one_line(error, 160)
    return f"{name}: a column holds values of several kinds ({said}), and a parquet column holds one. Write .jsonl."


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    chunk = list[Record]()
    for record in records:
        chunk.append(record)
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
