"""What a frozen trunk says of a row, computed once: a head is then trained on vectors, in seconds.

A answers    H hidden size
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from tunesmith.core.batch import Batch
from tunesmith.engine.row_store import RowStore, tokens_of

__all__ = ["FrozenFeatures"]


@dataclass(frozen=True, slots=True)
class FrozenFeatures:
    """Vectors by the tokens that they were read from. Only for a trunk that neither trains nor drops anything out."""

    store: RowStore = field(default_factory=RowStore)

    def of(self, batch: Batch, pooling: str, compute: Callable[[Batch], Tensor]) -> Tensor:
        """The vector of each answer, (A, H), without a gradient.

        Args:
            pooling: how a segment becomes a vector.
            compute: gives the vectors of a batch; it is handed the rows that are not known yet.
        """
        keys = [(pooling, row.answers, tokens_of(row)) for row in batch.rows]
        return self.store.of(batch, keys, [len(row.answers) for row in batch.rows], compute)
