"""Encoded rows as arrays, in chunks, in memory or in a file: a tenth of what tuples of numbers take, made a row again when it is asked for.

A file is the chunks one after the other, then an index, which is written last: a file without its end is no file. It is read through the
system's page cache, so that rows that nobody asks for take no memory.

    magic, chunk, chunk, ..., index (JSON), its length (8 bytes), its CRC-32 (4 bytes), magic
"""

import json
import mmap
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from pathlib import Path
from typing import IO, Any, overload

import numpy as np

from tunesmith.core.types import Origin, Row, Segment, Targets

__all__ = ["CHUNK_ROWS", "Damaged", "RowTable", "RowWriter", "read_rows"]

CHUNK_ROWS = 2048
_MAGIC = b"tsrows1\n"
_IN_MEMORY_BYTES = 32 * 2**20
"""A file up to this size is read whole; a longer one stays on the disk, and its pages come when they are asked for."""
_ROWS_MAPPED = 256
"""After so many rows the pages that were asked for are given back: what a process holds does not grow with the file."""
_TARGET = ("positions", "labels", "weights", "answers")
_WHOLE = frozenset(("tokens", "types", "source", "source.types", "target.positions", "target.labels", "target.answers"))
"""Columns with a number for each token, an int in every row."""
Array = np.ndarray[Any, np.dtype[Any]]


class Damaged(Exception):
    """A file that is not one of rows, or not whole."""


@dataclass(frozen=True, slots=True)
class _Column:
    """Lists of numbers laid end to end: list i is `numbers[ends[i - 1]:ends[i]]`. A column of one number only is that number."""

    numbers: Array
    ends: Array
    is_constant: bool = False

    @classmethod
    def of(cls, lists: Sequence[Sequence[float]], *, is_whole: bool = False) -> "_Column":
        """`is_whole`: every number is an int, which is quicker to know than to find out."""
        ends = np.fromiter(accumulate(map(len, lists)), dtype=np.uint32, count=len(lists))
        first = next((one[0] for one in lists if one), None)
        if first is not None and all(one.count(first) == len(one) for one in lists):
            return cls(np.array([first]), ends, True)
        numbers = chain.from_iterable(lists)
        flat = np.fromiter(numbers, dtype=np.int64, count=int(ends[-1])) if is_whole and len(lists) else np.array(list(numbers))
        return cls(flat.astype(np.int32) if flat.dtype == np.int64 and np.abs(flat).max(initial=0) < 2**31 else flat, ends)

    def get(self, index: int) -> tuple[Any, ...]:
        start = int(self.ends[index - 1]) if index else 0
        end = int(self.ends[index])
        if self.is_constant:
            return (self.numbers[0].item(),) * (end - start)
        return tuple(self.numbers[start:end].tolist())

    def lengths(self) -> Array:
        return np.diff(self.ends, prepend=np.uint32(0)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Up to `CHUNK_ROWS` rows: columns of rows, columns of segments, and texts that many rows share."""

    columns: Mapping[str, _Column]
    origins: Sequence[tuple[str, str, str]]
    """(file, task, group)"""
    values: Sequence[str]
    """Names of the rows' values."""
    has_source: bool

    @classmethod
    def of(cls, rows: Sequence[Row], owners: Sequence[int]) -> "_Chunk":
        names = list(dict.fromkeys(name for row in rows for name in row.values))
        origins = {key: place for place, key in enumerate(dict.fromkeys(map(_shared, rows)))}
        segments = [segment for row in rows for segment in row.segments]
        sources = [row.source for row in rows]
        lists: dict[str, Sequence[Sequence[float]]] = {
            "owner": [(owner,) for owner in owners],
            "origin": [(origins[_shared(row)], row.origin.row) for row in rows],
            "tokens": [segment.tokens for segment in segments],
            "types": [segment.token_types for segment in segments],
            "parents": [[segment.parent for segment in row.segments] for row in rows],
            "answers": [row.answers for row in rows],
            "words": [row.words for row in rows],
            **{f"target.{name}": [getattr(row.targets, name) for row in rows] for name in _TARGET},
            **{f"value.{name}": [row.values.get(name, ()) for row in rows] for name in names},
            **{f"has.{name}": [(int(name in row.values),) for row in rows] for name in names},
        }
        if any(segment.vectors for segment in segments):
            lists["vectors"] = [tuple(chain.from_iterable(segment.vectors)) for segment in segments]
        if any(source is not None for source in sources):
            lists["source"] = [source.tokens if source else () for source in sources]
            lists["source.types"] = [source.token_types if source else () for source in sources]
            lists["has_source"] = [(int(source is not None),) for source in sources]
        columns = {name: _Column.of(found, is_whole=name in _WHOLE) for name, found in lists.items()}
        return cls(columns, list(origins), names, "source" in lists)

    def __len__(self) -> int:
        return len(self.columns["owner"].ends)

    def with_values(self, name: str, values: Sequence[Sequence[float]]) -> "_Chunk":
        added = {f"value.{name}": _Column.of(values), f"has.{name}": _Column.of([(1,)] * len(values))}
        return replace(self, columns={**self.columns, **added}, values=list(dict.fromkeys([*self.values, name])))

    def owners(self) -> Array:
        column = self.columns["owner"]
        return np.repeat(column.numbers, len(self)) if column.is_constant else column.numbers.astype(np.int64)

    def row(self, index: int) -> Row:
        columns = self.columns
        ends = columns["parents"].ends
        first = int(ends[index - 1]) if index else 0
        parents = columns["parents"].get(index)
        tokens, types = columns["tokens"], columns["types"]
        segments = tuple(
            Segment(tokens.get(first + at), types.get(first + at), parent, self._vectors(first + at)) for at, parent in enumerate(parents)
        )
        shared, number = columns["origin"].get(index)
        file, task, group = self.origins[shared]
        source = None
        if self.has_source and columns["has_source"].get(index)[0]:
            source = Segment(columns["source"].get(index), columns["source.types"].get(index))
        return Row(
            segments,
            Origin(file, number, task, group),
            Targets(
                columns["target.positions"].get(index),
                columns["target.labels"].get(index),
                columns["target.weights"].get(index),
                columns["target.answers"].get(index),
            ),
            columns["answers"].get(index),
            {name: columns[f"value.{name}"].get(index) for name in self.values if columns[f"has.{name}"].get(index)[0]},
            source,
            columns["words"].get(index),
        )

    def _vectors(self, segment: int) -> tuple[tuple[float, ...], ...]:
        """One a token of a segment, where it has any."""
        if "vectors" not in self.columns:
            return ()
        numbers, num_tokens = self.columns["vectors"].get(segment), len(self.columns["tokens"].get(segment))
        width = len(numbers) // max(num_tokens, 1)
        return tuple(tuple(numbers[at : at + width]) for at in range(0, len(numbers), width)) if width else ()

    def num_tokens(self) -> Array:
        """Of every row, its segments' tokens and its source's."""
        ends = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.columns["tokens"].lengths())])
        until = self.columns["parents"].ends.astype(np.int64)
        found = np.diff(ends[until], prepend=0)
        return found + self.columns["source"].lengths() if self.has_source else found

    def row_tokens(self, index: int) -> Array:
        column, until = self.columns["tokens"], self.columns["parents"].ends
        first, last = int(until[index - 1]) if index else 0, int(until[index])
        start, end = (int(column.ends[place - 1]) if place else 0 for place in (first, last))
        return np.repeat(column.numbers, end - start) if column.is_constant else column.numbers[start:end]

    def num_targets(self) -> Array:
        return self.columns["target.labels"].lengths()


def _shared(row: Row) -> tuple[str, str, str]:
    return row.origin.file, row.origin.task, row.origin.group


class RowTable(Sequence[Row]):
    """Rows, each made from the arrays when it is asked for. Equal to any sequence of equal rows."""

    def __init__(self, chunks: Sequence[_Chunk], mapped: mmap.mmap | None = None) -> None:
        self._chunks, self._mapped, self._num_asked = chunks, mapped, 0
        self._ends = list(accumulate(map(len, chunks)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        """A row, or a list of rows."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return _Chunk.row(*self._place(index))

    def __iter__(self) -> Iterator[Row]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Sequence)
            and len(self) == len(other)
            and all(mine == theirs for mine, theirs in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]

    def tokens(self, index: int) -> Array:
        """The tokens of a row's segments, end to end, without making the row."""
        return _Chunk.row_tokens(*self._place(index))

    def _place(self, index: int) -> tuple[_Chunk, int]:
        """The chunk of a row, and its place there. Raises: IndexError."""
        self._num_asked += 1
        if self._mapped is not None and self._num_asked % _ROWS_MAPPED == 0:
            _release(self._mapped)
        place = range(len(self))[index]
        chunk = bisect_right(self._ends, place)
        return self._chunks[chunk], place - (self._ends[chunk - 1] if chunk else 0)

    def with_values(self, name: str, values: Sequence[Sequence[float]]) -> "RowTable":
        """The same rows with one more value each, an entry for every answer. `values`: of each row."""
        starts = [0, *self._ends]
        chunks = [chunk.with_values(name, values[start:end]) for chunk, start, end in zip(self._chunks, starts, starts[1:], strict=False)]
        return RowTable(chunks, self._mapped)

    def owners(self) -> Array:
        """The number that each row was written with: the index of its example, shape (rows,), int64."""
        return self._of_chunks(_Chunk.owners)

    def num_tokens(self) -> Array:
        """`Row.num_tokens` of every row, without making the rows, shape (rows,), int64."""
        return self._of_chunks(_Chunk.num_tokens)

    def num_targets(self) -> Array:
        """Scored tokens of every row, shape (rows,), int64."""
        return self._of_chunks(_Chunk.num_targets)

    def _of_chunks(self, of_chunk: Callable[[_Chunk], Array]) -> Array:
        found = np.concatenate([np.zeros(0, dtype=np.int64), *map(of_chunk, self._chunks)])
        if self._mapped is not None:
            _release(self._mapped)
        return found


class RowWriter:
    """Takes rows one after the other and keeps them in chunks: in `file`, as `read_rows` reads it, or in memory where there is none."""

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self._file, self._rows, self._owners = file, list[Row](), list[int]()
        self._chunks, self._index, self._at = list[_Chunk](), list[Any](), 0
        if file is not None:
            self._write(_MAGIC)

    def add(self, rows: Iterable[Row], owner: int) -> None:
        """Rows of the example with the index `owner`."""
        for row in rows:
            self._rows.append(row)
            self._owners.append(owner)
        if len(self._rows) >= CHUNK_ROWS:
            self._flush()

    def close(self, facts: Mapping[str, Any]) -> None:
        """Write what is left, and the index with `facts`, JSON-like."""
        self._flush()
        if self._file is None:
            return
        index = json.dumps({"chunks": self._index, "facts": dict(facts)}).encode()
        self._write(index + len(index).to_bytes(8, "little") + zlib.crc32(index).to_bytes(4, "little") + _MAGIC)

    def table(self) -> RowTable:
        """The rows, where they were kept in memory."""
        self._flush()
        return RowTable(self._chunks)

    def _flush(self) -> None:
        if not self._rows:
            return
        chunk = _Chunk.of(self._rows, self._owners)
        self._rows, self._owners = [], []
        if self._file is None:
            self._chunks.append(chunk)
            return
        begin, check, columns = self._at, 0, dict[str, Any]()
        for name, column in chunk.columns.items():
            places = []
            for array in (column.numbers, column.ends):
                content = array.tobytes()
                places.append([array.dtype.str, array.size, self._at])
                check = zlib.crc32(content, check)
                self._write(content + b"\0" * (-len(content) % 8))
            columns[name] = [*places, column.is_constant]
        self._index.append(
            {
                "columns": columns,
                "origins": chunk.origins,
                "values": chunk.values,
                "has_source": chunk.has_source,
                "begin": begin,
                "crc32": check,
            }
        )

    def _write(self, content: bytes) -> None:
        assert self._file is not None
        self._file.write(content)
        self._at += len(content)


def read_rows(path: Path) -> tuple[RowTable, dict[str, Any]]:
    """The rows of a file that a `RowWriter` wrote, and its facts. Raises: OSError, where there is none; Damaged, where it is not whole."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < 2 * len(_MAGIC) + 12:
            raise Damaged(f"{path}: not whole")
        file.seek(0)
        mapped = None if size <= _IN_MEMORY_BYTES else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        content = memoryview(file.read() if mapped is None else mapped)
    tail = 12 + len(_MAGIC)
    size = int.from_bytes(content[-tail : -tail + 8], "little")
    index = bytes(content[len(content) - tail - size : len(content) - tail]) if size < len(content) else b""
    if bytes(content[-len(_MAGIC) :]) != _MAGIC or zlib.crc32(index) != int.from_bytes(content[-tail + 8 : -tail + 12], "little"):
        raise Damaged(f"{path}: not whole")
    found = json.loads(index)
    chunks = []
    for entry in found["chunks"]:
        chunks.append(_read_chunk(content, entry, path))
        if mapped is not None:
            _release(mapped)
    return RowTable(chunks, mapped), found["facts"]


def _release(mapped: mmap.mmap) -> None:
    """Let go of the pages that were read; they are read again when they are asked for."""
    if hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _read_chunk(content: memoryview, entry: Mapping[str, Any], path: Path) -> _Chunk:
    columns, check = dict[str, _Column](), 0
    for name, (*places, is_constant) in entry["columns"].items():
        arrays = []
        for dtype, count, at in places:
            array = np.frombuffer(content, dtype=np.dtype(dtype), count=count, offset=at)
            check = zlib.crc32(array.data, check)
            arrays.append(array)
        numbers, ends = arrays
        columns[name] = _Column(numbers, ends, is_constant)
    if check != entry["crc32"]:
        raise Damaged(f"{path}: damaged at {entry['begin']}")
    return _Chunk(columns, [(file, task, group) for file, task, group in entry["origins"]], entry["values"], entry["has_source"])
