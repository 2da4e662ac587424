"""`tunesmith data split`: a file for each split, from one source."""

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.app.data_files import Work, data_work, schema_for, written
from tunesmith.core.errors import UsageError, did_you_mean
from tunesmith.core.events import Event
from tunesmith.core.types import Example, Labelled
from tunesmith.data.record_source import RecordSource
from tunesmith.data.split import content_key, held_out, label_of
from tunesmith.data.table import Record
from tunesmith.data.writing import WRITTEN

__all__ = ["split_data"]

_NAMES = ("train", "validation", "test")


def split_data(
    source: str,
    out: Path,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    by: str | None = None,
    stratify: bool = True,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    force: bool = False,
    skip_invalid: bool = False,
    progress: Callable[[Event], None] | None = None,
) -> dict[str, Any]:
    """Write `out`/train, validation and test, in the kind of file that `source` is (jsonl for those that cannot be written).

    Rows with the same text stay together, and with `by` rows with the same value of that column. With seed 0 and without `by` the splits are
    those that `tune` makes of the same source.

    Args:
        validation, test: below 1 a share of the rows, from 1 a number, 0 none.
        seed: 0: by the hash of the texts; else by that of the seed and the text.
        stratify: whether each label is held out in proportion.
        format, columns: as for `read`; `force`: whether files of these names are replaced.
        skip_invalid: whether rows that make no example are left out, and kept in `out`/invalid.jsonl.
    Returns: {source, folder, format, files, rows, labels, groups, seed, invalid}.
    Raises: UsageError, DataError, FetchError, Interrupted; nothing is written then.
    """
    with data_work(progress) as work:
        _check_sizes(validation, test)
        rows = RecordSource(source, skip_invalid=skip_invalid)
        suffix = rows.suffix if rows.suffix in WRITTEN else ".jsonl"
        sizes = {"train": 1.0, "validation": validation, "test": test}
        files = {name: out / f"{name}{suffix}" for name in _NAMES if sizes[name]}
        _check_folder(out, list(files.values()), force)
        found = rows.columns()
        if by is not None and by not in found:
            raise UsageError(f'--by {by}: {source} has no column "{by}".{did_you_mean(by, found)}')
        kind, form, located = rows.format(format, columns or {}, found)
        keys, labels, groups = list[str](), list[str](), list[str]()
        for _, record, example in work.counted(rows.examples(form, located), "read", source):
            keys.append(_ranked(content_key(example), seed))
            labels.append(_label(example))
            if by is not None:
                groups.append(_value(record, by))
        together = _together(keys, groups) if by is not None else keys
        strata = labels if stratify else [""] * len(labels)
        validated, tested = held_out(Counter(together), label_of(together, strata), validation=validation, test=test, name=source)
        places = ["test" if key in tested else "validation" if key in validated else "train" for key in together]
        _write(work, rows, form, located, files, found, places)
        num_invalid = work.keep_invalid(rows, out / "invalid.jsonl")
    made = {"source": source, "folder": str(out), "format": kind, "files": {name: str(path) for name, path in files.items()}}
    num_groups = len(set(groups)) if by is not None else None
    return {**made, **_counts(files, labels, places), "groups": num_groups, "seed": seed, "invalid": num_invalid}


def _counts(names: Iterable[str], labels: Sequence[str], places: Sequence[str]) -> dict[str, Any]:
    """Rows, and labels where there are any, of each split."""
    counted = {name: Counter(label for label, place in zip(labels, places, strict=True) if place == name) for name in names}
    return {
        "rows": {name: sum(counts.values()) for name, counts in counted.items()},
        "labels": {name: dict(sorted(counts.items())) for name, counts in counted.items()} if any(labels) else {},
    }


def _check_sizes(validation: float, test: float) -> None:
    for name, size in (("validation", validation), ("test", test)):
        if size < 0 or (size > 1 and size != int(size)):
            raise UsageError(f"--{name} {size:g}: expected a share below 1 or a whole number of rows.")
    if not validation and not test:
        raise UsageError("--validation 0 --test 0: nothing to split off. Give one of them a size.")


def _check_folder(out: Path, files: Sequence[Path], force: bool) -> None:
    """Raises: UsageError, where the folder holds something already, or, under `force`, splits that would stay beside new ones."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file. Name a folder.")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise UsageError(f"{out}: exists and is not empty. Name another folder, or replace its splits with --force.")
    for old in (out / f"{name}{suffix}" for name in _NAMES for suffix in WRITTEN):
        if old.exists() and old not in files:
            raise UsageError(f"{old}: would stay beside the new splits, and may hold their rows. Remove it first.")


def _ranked(key: str, seed: int) -> str:
    return key if seed == 0 else hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()


def _label(example: Example) -> str:
    return (example.label or "") if isinstance(example, Labelled) else ""


def _value(record: Record, column: str) -> str:
    """The group of a row; empty where it has none, so that it is a group of its own."""
    value = record.get(column)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _together(keys: Sequence[str], groups: Sequence[str]) -> list[str]:
    """For each row the key of the rows that it stays with: those of its group, those of its text, those of their groups, and so on."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    first: dict[str, str] = {}
    for key, group in zip(keys, groups, strict=True):
        one, other = sorted((root(key), root(first.setdefault(group, key) if group else key)))
        parent[other] = one  # the least key stands for all, whatever the order of the rows
    return [root(key) for key in keys]


def _write(
    work: Work,
    rows: RecordSource,
    form: Any,
    located: Mapping[str, str],
    files: Mapping[str, Path],
    columns: Sequence[str],
    places: Sequence[str],
) -> None:
    schema = schema_for(next(iter(files.values())), rows, columns, lambda: (record for _, record in rows.records()))
    with contextlib.ExitStack() as stack:
        writers = {name: stack.enter_context(written(path, columns, schema)) for name, path in files.items()}
        for (_, record, _), place in zip(work.counted(rows.examples(form, located), "write"), places, strict=True):
            writers[place](record)
