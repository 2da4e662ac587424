"""What a frozen trunk says of a row, computed once: a head is then trained on vectors, in seconds.

A answers    H hidden size
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tunesmith.core.batch import Batch, collate
from tunesmith.core.types import Row, Segment

__all__ = ["FrozenFeatures"]

_Key = tuple[str, tuple[Segment, ...], tuple[int, ...]]


@dataclass(slots=True)
class FrozenFeatures:
    """Vectors by the tokens that they were read from. Only for a trunk that neither trains nor drops anything out."""

    max_bytes: int = 2**30
    """Where they would take more, the rows that come later are computed every time."""
    num_bytes: int = 0
    _vectors: dict[_Key, Tensor] = field(default_factory=dict)

    def of(self, batch: Batch, pooling: str, compute: Callable[[Batch], Tensor]) -> Tensor:
        """The vector of each answer, (A, H), without a gradient.

        Args:
            pooling: how a segment becomes a vector.
            compute: gives the vectors of a batch; it is handed the rows that are not known yet.
        """
        keys = [_key(row, pooling) for row in batch.rows]
        new = {key: row for key, row in zip(keys, batch.rows, strict=True) if key not in self._vectors}
        found = dict[_Key, Tensor]()
        if new:
            rows = list(new.values())
            with torch.no_grad():
                vectors = compute(collate(rows, batch.facts).to(batch.stream.tokens_T.device))
            for key, part in zip(new, torch.split(vectors, [len(row.answers) for row in rows]), strict=True):
                found[key] = part
                self._keep(key, part)
        return torch.cat([found[key] if key in found else self._vectors[key] for key in keys])

    def _keep(self, key: _Key, vectors: Tensor) -> None:
        size = vectors.numel() * vectors.element_size()
        if self.num_bytes + size <= self.max_bytes:
            self._vectors[key] = vectors.clone()
            self.num_bytes += size


def _key(row: Row, pooling: str) -> _Key:
    source = () if row.source is None else (row.source,)
    return pooling, (*source, *row.segments), row.answers
