"""Encoded rows on disk, as plain arrays."""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.core.files import write_bytes
from tunesmith.core.types import Example, Row, Segment, Targets

__all__ = ["load_rows", "save_rows"]

Array = np.ndarray[Any, np.dtype[Any]]


class _Ragged:
    """Sequences of numbers laid end to end, with their lengths."""

    def __init__(self) -> None:
        self.numbers: dict[str, list[Any]] = {}
        self.lengths: dict[str, list[int]] = {}

    def add(self, name: str, sequence: Sequence[Any]) -> None:
        self.numbers.setdefault(name, []).extend(sequence)
        self.lengths.setdefault(name, []).append(len(sequence))

    def arrays(self) -> dict[str, Array]:
        return {f"{name}.numbers": np.asarray(numbers) for name, numbers in self.numbers.items()} | {
            f"{name}.lengths": np.asarray(lengths, dtype=np.int64) for name, lengths in self.lengths.items()
        }


def save_rows(path: Path, rows: Sequence[Row], owners: Sequence[int], examples: Sequence[Example], facts: dict[str, Any]) -> None:
    """Write rows whole; rows whose origin is not that of their example, or that differ in their values, are not written."""
    names = sorted(rows[0].values) if rows else []
    if any(row.origin != examples[owner].origin or sorted(row.values) != names for row, owner in zip(rows, owners, strict=True)):
        return
    ragged = _Ragged()
    for row in rows:
        for segment in row.segments:
            ragged.add("tokens", segment.tokens)
            ragged.add("types", segment.token_types)
        ragged.add("parents", [segment.parent for segment in row.segments])
        for name in ("positions", "labels", "weights", "answers"):
            ragged.add(f"target.{name}", getattr(row.targets, name))
        ragged.add("answers", row.answers)
        ragged.add("words", row.words)
        ragged.add("source", row.source.tokens if row.source else ())
        for name in names:
            ragged.add(f"value.{name}", row.values[name])
    meta = json.dumps({"facts": facts, "names": names, "has_source": [row.source is not None for row in rows]})
    content = io.BytesIO()
    np.savez(content, meta=np.frombuffer(meta.encode(), dtype=np.uint8), owners=np.asarray(owners, dtype=np.int64), **ragged.arrays())  # type: ignore[arg-type]
    write_bytes(path, content.getvalue())


def load_rows(path: Path, examples: Sequence[Example]) -> tuple[list[Row], list[int], dict[str, Any]] | None:
    """What `save_rows` wrote; None where there is nothing, or nothing whole."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(arrays["meta"].tobytes())
        owners = [int(owner) for owner in arrays["owners"]]
        return _rows(arrays, meta, owners, examples), owners, meta["facts"]
    except (OSError, ValueError, KeyError, IndexError, TypeError, StopIteration, EOFError, zipfile.BadZipFile):
        return None


def _rows(arrays: dict[str, Array], meta: dict[str, Any], owners: list[int], examples: Sequence[Example]) -> list[Row]:
    def parts(name: str) -> list[tuple[Any, ...]]:
        if f"{name}.lengths" not in arrays:
            return []
        numbers, ends = arrays[f"{name}.numbers"].tolist(), np.cumsum(arrays[f"{name}.lengths"]).tolist()
        return [tuple(numbers[start:end]) for start, end in zip([0, *ends], ends, strict=False)]

    tokens, types = iter(parts("tokens")), iter(parts("types"))
    targets = zip(*(parts(f"target.{name}") for name in ("positions", "labels", "weights", "answers")), strict=True)
    values = {name: parts(f"value.{name}") for name in meta["names"]}
    rows = []
    for at, (owner, parents, target, answers, source, words) in enumerate(
        zip(owners, parts("parents"), targets, parts("answers"), parts("source"), parts("words"), strict=True)
    ):
        segments = tuple(Segment(next(tokens), next(types), parent) for parent in parents)
        rows.append(
            Row(
                segments,
                examples[owner].origin,
                Targets(*target),
                answers,
                {name: numbers[at] for name, numbers in values.items()},
                Segment(source) if meta["has_source"][at] else None,
                words,
            )
        )
    return rows
