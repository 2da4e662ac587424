"""What the benchmarks' sources share: which part of which task is named, its file or its records on the hub, and its classes by name."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from tunesmith.core import registry
from tunesmith.core.errors import DataError, FetchError, UsageError, did_you_mean
from tunesmith.core.types import Origin
from tunesmith.data.labels import raw_label
from tunesmith.data.quarantine import InvalidRow, Quarantine
from tunesmith.data.sources._paths import expanded, is_folder
from tunesmith.data.table import Record, Table, TableFacts, shown

__all__ = ["Benchmark", "class_of", "find_file", "from_hub", "parted", "require_file", "rows_of_hub", "table_of"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What messages and reports say of a benchmark."""

    key: str
    """The option that names a task."""
    title: str
    citation: str


def parted(benchmark: Benchmark, name: str, tasks: Mapping[str, Collection[str]]) -> tuple[str, str]:
    """Task and part of `sst2:validation`; without a part, `train`.

    Args:
        tasks: task -> its parts.
    Raises: UsageError, where there is no such task or part.
    """
    task, _, part = name.partition(":")
    if task not in tasks:
        raise UsageError(f"{benchmark.key}: {shown(task)} is no task of {benchmark.title}.{did_you_mean(task, tasks)}")
    part = part or "train"
    if part not in tasks[task]:
        raise UsageError(f"{benchmark.key}: {task} has no part {shown(part)}.{did_you_mean(part, tasks[task])}")
    return task, part


def find_file(folder: str, own: str, names: Sequence[str], ends: Sequence[str]) -> Path | None:
    """The file of a part of a task, in the task's own folder inside `folder`, or in `folder` itself; None: there is none.

    Neither case nor signs count in names, nor does the word `glue`: `SST-2`, `sst2` and `sst2_glue` are one.

    Args:
        own: what the authors call the task's folder.
        names: of the file, without its end; the task's name may stand before them.
        ends: of the file's name; the first is what a message expects.
    Raises: DataError, where there is no such folder, or it cannot be read.
    """
    root = expanded(folder)
    if not is_folder(root):
        raise DataError(f"{folder}: no such folder. Name one that holds {own}/{names[0]}{ends[0]}, as its authors ship it.")
    wanted = {_plain(before + name) for name in names for before in ("", own)}
    try:
        own_folders = [sub for sub in sorted(root.iterdir()) if is_folder(sub) and _plain(sub.name) == _plain(own)]
        files = [path for place in (*own_folders, root) for path in sorted(place.iterdir())]
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read ({error.strerror}).") from None
    for path in files:
        if path.suffix.lower() in ends and _plain(path.stem) in wanted:
            return path
    return None


def require_file(folder: str, own: str, names: Sequence[str], ends: Sequence[str]) -> Path:
    """As `find_file`. Raises: DataError, also where there is none."""
    path = find_file(folder, own, names, ends)
    if path is None:
        raise DataError(f"{folder}: holds no {own}/{names[0]}{ends[0]}, the file of this part of {own} as its authors ship it.")
    return path


def from_hub(source: str, benchmark: Benchmark) -> Table:
    """A split of a hub data set. Raises: FetchError, DataError."""
    try:
        table: Table = registry.create("data_source", "hub").read(source)
    except FetchError as error:
        said = str(error).partition(" Check the spelling")[0]
        raise FetchError(
            f"{said} Check the network and HF_HUB_OFFLINE, or bring the files of {benchmark.title} as its authors ship them and set data.folder=FOLDER."
        ) from None
    return table


def table_of(
    found: Iterable[tuple[Origin, R]],
    make: Callable[[R, str], Iterable[tuple[str, Record]]],
    facts: TableFacts,
    quarantine: Quarantine | None,
) -> Table:
    """A table of what `make` makes of each row: the group of a record, where it has one, and the record.

    Args:
        make: is given the row, and `file:row` for messages.
    Raises: DataError, for the first row of which nothing can be made, unless there is a `quarantine`; where there is no row.
    """
    records, origins = list[Record](), list[Origin]()
    for origin, row in found:
        try:
            made = list(make(row, f"{origin.file}:{origin.row}"))
        except DataError as error:
            if quarantine is None:
                raise
            quarantine.add(InvalidRow.of(error, origin.file, origin.row, row))
            continue
        records += [record for _, record in made]
        origins += [replace(origin, group=group) for group, _ in made]
    if not records:
        if quarantine is not None:
            quarantine.refuse_all(facts.name)
        raise DataError(f"{facts.name}: holds no rows.")
    return Table(records, origins, facts)


def class_of(raw: Any, classes: Sequence[str], where: str) -> str:
    """The class that a label names, by its number or its name. Raises: DataError, for another."""
    known = {str(number): name for number, name in enumerate(classes)} | {name.casefold(): name for name in classes}
    said = raw_label(raw).casefold() if isinstance(raw, str | int | float) else ""
    if said in known:
        return known[said]
    hint = " Rows without a label are judged by the benchmark's own server; use the part validation." if said in ("-1", "") else ""
    expected = ", ".join(f"{number} or {name}" for number, name in enumerate(classes))
    raise DataError(f"{where}: the label {shown(raw)} is none of the task's: {expected}.{hint}")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()).replace("glue", "")


def rows_of_hub(table: Table) -> Iterator[tuple[Origin, Record]]:
    """Each record with its origin."""
    return zip(table.origins, table.records, strict=True)
