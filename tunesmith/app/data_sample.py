"""`tunesmith data sample`: some rows of a source, drawn at random, the same every time."""

import hashlib
import heapq
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.app.data_files import Work, check_target, data_work, schema_for, written
from tunesmith.core.errors import UsageError
from tunesmith.core.events import Event
from tunesmith.core.types import Labelled
from tunesmith.data.record_source import RecordSource
from tunesmith.data.split import quotas
from tunesmith.data.table import Record
from tunesmith.data.writing import text_writer

__all__ = ["sample_data"]


def sample_data(
    source: str,
    out: Path | None,
    count: int,
    *,
    seed: int = 0,
    stratify: bool = False,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    force: bool = False,
    skip_invalid: bool = False,
    progress: Callable[[Event], None] | None = None,
) -> dict[str, Any]:
    """Write `count` rows of `source`, in their own order, or all where it has fewer.

    Every row is as likely as any other. Which are drawn depends on the seed and on the rows' numbers alone; a larger sample holds the smaller.

    Args:
        out: the file; None: JSON lines on standard output.
        stratify: whether each label is drawn in proportion, to the row.
        format, columns: as for `read`, for `stratify`; `force`: whether `out` is replaced.
        skip_invalid: whether rows that cannot be read are left out (and kept in `out`.invalid.jsonl).
    Returns: {source, out, rows, sampled, labels, seed, invalid}.
    Raises: UsageError, DataError, FetchError, Interrupted; nothing is written then.
    """
    with data_work(progress) as work:
        rows = RecordSource(source, skip_invalid=skip_invalid)
        if out is not None:
            check_target(out, [rows], force=force)
        found = rows.columns()
        form, located = (None, {}) if not stratify else rows.format(format, columns or {}, found)[1:]
        labels = [label for label, _ in work.counted(_labelled(rows, form, located), "read", source)]
        shares = quotas(Counter(labels), min(count, len(labels)))
        chosen = _drawn(labels, shares, seed)

        def records() -> Iterator[Record]:
            return (record for index, (_, record) in enumerate(_labelled(rows, form, located)) if index in chosen)

        if out is None:
            write = text_writer(sys.stdout, ".jsonl", found)
            for record in records():
                write(record)
            sys.stdout.flush()
        else:
            _write(work, rows, out, found, records)
        num_invalid = work.keep_invalid(rows, out.with_name(f"{out.name}.invalid.jsonl")) if out is not None else len(rows.invalid)
    drawn = Counter(labels[index] for index in chosen)
    return {
        "source": source, "out": str(out or "-"), "rows": len(labels), "sampled": len(chosen),
        "labels": dict(sorted(drawn.items())) if stratify else {}, "seed": seed, "invalid": num_invalid,
    }  # fmt: skip


def _labelled(rows: RecordSource, form: Any, located: Mapping[str, str]) -> Iterator[tuple[str, Record]]:
    """Every record and its label; without a format all have the same."""
    if form is None:
        for _, record in rows.records():
            yield "", record
        return
    for _, record, example in rows.examples(form, located):
        if not isinstance(example, Labelled):
            raise UsageError(f"--stratify: {rows.name} has no labels. Leave it out, or name their column with --column label=COLUMN.")
        yield example.label or "", record


def _drawn(labels: list[str], shares: Mapping[str, int], seed: int) -> set[int]:
    """The places of the drawn rows: of each label those whose hash is least."""
    places: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        places.setdefault(label, []).append(index)

    def rank(index: int) -> bytes:
        return hashlib.sha256(f"{seed}:{index}".encode()).digest()

    return {index for label, indexes in places.items() for index in heapq.nsmallest(shares[label], indexes, key=rank)}


def _write(work: Work, rows: RecordSource, out: Path, columns: list[str], records: Callable[[], Iterator[Record]]) -> None:
    schema = schema_for(out, rows, columns, records)
    with written(out, columns, schema) as write:
        for record in work.counted(records(), "write", str(out)):
            write(record)
