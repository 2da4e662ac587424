"""What the test rows contributed, as columns; those that many legs share lie once in the folder of results. Imports no torch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.files import hash_of, write_json

__all__ = ["packed", "unpacked"]

_SHARED = ("row", "base")
"""Names of the rows and what the base contributed: the same in nearly every leg."""


def packed(columns: Mapping[str, Sequence[Any]], folder: Path) -> dict[str, Any]:
    """`columns`: `row`, a name a row, and `base` and `tuned`, K numbers a row. Returns: the same, K columns each, the shared ones by the names of their files."""
    found = {name: list(values) if name == "row" else _turned(values) for name, values in columns.items()}
    return {name: _kept(values, folder) if name in _SHARED else values for name, values in found.items()}


def unpacked(columns: Mapping[str, Any], folder: Path) -> dict[str, list[Any]]:
    """What `packed` was given. Raises: OSError, ValueError, where a shared column is not there or is not what it was."""
    found = {name: _read(values, folder) if name in _SHARED else values for name, values in columns.items()}
    return {name: values if name == "row" else [list(row) for row in zip(*values, strict=True)] for name, values in found.items()}


def _turned(rows: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    return [[int(x) if x is not None and float(x).is_integer() else x for x in column] for column in zip(*rows, strict=True)]


def _kept(values: list[Any], folder: Path) -> str:
    name = hash_of(values)[:16]
    file = _file(folder, name)
    if not file.is_file():
        write_json(file, values, indent=None)
    return name


def _read(name: str, folder: Path) -> list[Any]:
    values: list[Any] = json.loads(_file(folder, name).read_text(encoding="utf-8"))
    if hash_of(values)[:16] != name:
        raise ValueError(name)
    return values


def _file(folder: Path, name: str) -> Path:
    return folder / "columns" / f"{name}.json"
