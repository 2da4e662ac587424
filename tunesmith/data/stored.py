"""Examples of files that are too large for the memory: kept on the disk through Arrow, and made again each time that they are asked for.

A file is read once, row by row. Each record goes as JSON text into an Arrow file of the cache, which is mapped into memory: pages come when
they are asked for, and go when others are needed. What is held in memory is a number an example, wherever examples are chosen.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.files import cache_folder, hash_of, staged_file
from tunesmith.core.types import Example, Origin
from tunesmith.data.labels import labels_of, renaming
from tunesmith.data.quarantine import InvalidRow, Quarantine
from tunesmith.data.table import Record, Table, TableFacts
from tunesmith.data.unread import Unread

__all__ = ["StoredExamples", "StoredTexts", "chosen", "store"]

_BATCH = 4096
"""Records of a batch of the Arrow file, all but the last one of exactly this size."""
_SAMPLE = 1000
"""Records that the format is found from."""
_PER_LABEL = 3
"""Examples of a label that the labels are named from: more than one, so that classes can be told from free text."""
E = TypeVar("E", bound=Example)

Make = Callable[[Record, Origin], Example]
Rows = Iterator[tuple[Origin, Record]]


class StoredExamples(Sequence[Example]):
    """Examples that are made from records on the disk when they are asked for; a choice of them holds their places only."""

    def __init__(
        self, batches: Sequence[Any], files: Sequence[str], make: Make, places: "np.ndarray[Any, np.dtype[np.int64]] | None" = None
    ) -> None:
        """`batches`: record batches with the columns record (JSON text), file (place in `files`) and row."""
        self._batches, self._files, self._make = batches, files, make
        self._places = np.arange(sum(batch.num_rows for batch in batches)) if places is None else places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> "StoredExamples": ...
    def __getitem__(self, index: int | slice) -> "Example | StoredExamples":
        """An example, or a choice of them."""
        if isinstance(index, slice):
            return StoredExamples(self._batches, self._files, self._make, self._places[index])
        batch, at = divmod(int(self._places[index]), _BATCH)
        record, file, row = (column[at].as_py() for column in self._batches[batch].columns)
        return self._made(record, file, row)

    def __iter__(self) -> Iterator[Example]:
        begun, columns = -1, list[list[Any]]()
        for place in self._places.tolist():
            batch, at = divmod(place, _BATCH)
            if batch != begun:
                begun, columns = batch, [column.to_pylist() for column in self._batches[batch].columns]
            yield self._made(*(column[at] for column in columns))

    def chosen(self, places: Iterable[int]) -> "StoredExamples":
        """Those at `places`, in their order."""
        return StoredExamples(self._batches, self._files, self._make, self._places[np.fromiter(places, dtype=np.int64)])

    def _made(self, record: str, file: int, row: int) -> Example:
        return self._make(json.loads(record), Origin(self._files[file], row))


class StoredTexts(Sequence[str]):
    """A text of each example, made when it is asked for."""

    def __init__(self, examples: Sequence[Example], text_of: Callable[[Example], str]) -> None:
        self._examples, self._text_of = examples, text_of

    def __len__(self) -> int:
        return len(self._examples)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """A text, or a list of texts."""
        if isinstance(index, slice):
            return [self._text_of(example) for example in self._examples[index]]
        return self._text_of(self._examples[index])


def chosen(examples: Sequence[E], places: Iterable[int]) -> Sequence[E]:
    """The examples at `places`: a list, or, of stored ones, a choice of them."""
    if isinstance(examples, StoredExamples):
        return examples.chosen(places)  # type: ignore[return-value]
    return [examples[place] for place in places]


def store(
    rows: Rows,
    facts: TableFacts,
    find: Callable[[Table], tuple[str, Any, dict[str, str]]],
    *,
    labels: Mapping[str, str] | None,
    task: str,
    quarantine: Quarantine | None,
) -> tuple[StoredExamples, str, tuple[str, ...], Unread]:
    """The examples of `rows`, the name of their format, their labels, and what of the records is in no example.

    Args:
        find: finds the format, its name and its columns from a table of the first rows.
        quarantine: takes the rows that make no example; None: the first of them is an error.
    Raises: DataError, as `read`.
    """
    sample = list(islice(rows, _SAMPLE))
    if not sample:
        raise DataError(f"{facts.name}: holds no rows.")
    name, form, located = find(Table([record for _, record in sample], [origin for origin, _ in sample], facts))
    counts, kept, files, unread = Counter[str](), list[Example](), dict[str, int](), Unread(form, located, facts)

    def make(record: Record, origin: Origin) -> Example:
        example: Example = form.parse(record, replace(origin, task=task) if task else origin, located)
        return example

    def told() -> Iterator[tuple[str, int, int]]:
        for origin, record in chain(sample, rows):
            text = json.dumps(record, ensure_ascii=False, default=str)
            unread.add(record)
            try:
                example = make(json.loads(text), origin)
                text.encode("utf-8")
            except (DataError, UnicodeEncodeError) as error:
                refusal = error if isinstance(error, DataError) else DataError(f"{origin.file}:{origin.row}: holds half of a character.")
                if quarantine is None:
                    raise refusal from None
                quarantine.add(InvalidRow.of(refusal, origin.file, origin.row, record))
                continue
            of = labels_of(example)
            if not kept or any(counts[label] < _PER_LABEL for label in of):
                kept.append(example)
            counts.update(of)
            yield text, files.setdefault(origin.file, len(files)), origin.row

    path = cache_folder("stored") / f"{hash_of(facts.sha256, facts.name, name, located)}.arrow"
    _write(path, told())
    if not kept:
        if quarantine is not None:
            quarantine.refuse_all(facts.name)
        raise DataError(f"{facts.name}: holds no rows.")
    rename, found = renaming(kept, located, labels, facts.class_names)
    final = (lambda record, origin: rename(make(record, origin))) if rename else make
    return StoredExamples(_batches(path), list(files), final), name, found, unread


def _write(path: Path, rows: Iterator[tuple[str, int, int]]) -> None:
    """An Arrow file of (record, file, row); there is none where `rows` breaks off."""
    import pyarrow as pa

    schema = pa.schema([("record", pa.large_string()), ("file", pa.int32()), ("row", pa.int64())])
    with staged_file(path) as staged, pa.OSFile(str(staged), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        while batch := list(islice(rows, _BATCH)):
            writer.write_batch(pa.record_batch([list(column) for column in zip(*batch, strict=True)], schema=schema))


def _batches(path: Path) -> list[Any]:
    """The record batches of an Arrow file, mapped into memory."""
    import pyarrow as pa

    reader = pa.ipc.open_file(pa.memory_map(str(path), "r"))
    return [reader.get_batch(index) for index in range(reader.num_record_batches)]
