"""Tensors kept by row: in memory as far as that goes, then in a file that ends with its owner, and what fits in neither is made again."""

import tempfile
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

import torch
from torch import Tensor

from tunesmith.core.batch import Batch, collate
from tunesmith.core.types import Row, Segment

__all__ = ["RowStore", "tokens_of"]


def tokens_of(row: Row) -> tuple[Segment, ...]:
    """All that a frozen model reads of a row."""
    return (*(() if row.source is None else (row.source,)), *row.segments)


@dataclass(frozen=True, slots=True)
class _InFile:
    offset: int
    shape: torch.Size
    dtype: torch.dtype


@dataclass(slots=True)
class RowStore:
    """What was computed of a row, by a key that says all that it depends on. Leaving its `with` block ends the file."""

    max_bytes: int = 2**30
    """In memory."""
    folder: Path | None = None
    """Where the file is made, which has no name there; None: memory only."""
    max_file_bytes: int = 0
    num_bytes: int = 0
    num_file_bytes: int = 0
    _kept: dict[Hashable, Tensor | _InFile] = field(default_factory=dict)
    _file: IO[bytes] | None = None

    def of(self, batch: Batch, keys: Sequence[Hashable], lengths: Sequence[int], compute: Callable[[Batch], Tensor]) -> Tensor:
        """What belongs to the rows of `batch`, one after the other along the first dimension, without a gradient, on the batch's device.

        Args:
            lengths: how much of that dimension is each row's.
            compute: makes it for a batch; it is handed the rows that are not known yet.
        """
        device = batch.stream.tokens_T.device
        new = {key: place for place, key in enumerate(keys) if key not in self._kept}
        found = dict[Hashable, Tensor]()
        if new:
            with torch.no_grad():
                made = compute(collate([batch.rows[place] for place in new.values()], batch.facts).to(device))
            for key, part in zip(new, torch.split(made, [lengths[place] for place in new.values()]), strict=True):
                found[key] = part
                self._keep(key, part)
        return torch.cat([found[key].cpu() if key in found else self._read(key) for key in keys]).to(device)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.num_bytes = self.num_file_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _keep(self, key: Hashable, made: Tensor) -> None:
        size = made.numel() * made.element_size()
        if self.num_bytes + size <= self.max_bytes:
            self._kept[key] = made.to("cpu", copy=True)
            self.num_bytes += size
        elif self.folder is not None and self.num_file_bytes + size <= self.max_file_bytes:
            self._write(key, made, size)

    def _write(self, key: Hashable, made: Tensor, size: int) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115  # closed by `__exit__`
            self._file.seek(self.num_file_bytes)
            written = self._file.write(made.cpu().contiguous().view(torch.uint8).numpy().data)
        except OSError:
            written = 0
        if written != size:  # the disk is full, or the folder cannot be written
            self.max_file_bytes = self.num_file_bytes
            return
        self._kept[key] = _InFile(self.num_file_bytes, made.shape, made.dtype)
        self.num_file_bytes += size

    def _read(self, key: Hashable) -> Tensor:
        kept = self._kept[key]
        if isinstance(kept, Tensor):
            return kept
        assert self._file is not None
        found = torch.empty(kept.shape, dtype=kept.dtype)
        self._file.seek(kept.offset)
        self._file.readinto(found.view(torch.uint8).numpy().data)  # type: ignore[attr-defined]
        return found
