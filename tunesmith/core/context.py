"""What may be put into a model's context, and the contract of a strategy that chooses it.

p examples to choose among    q questions    h hidden size
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

__all__ = ["Array", "Strategy", "Variant"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to ask, to be tried on validation rows beside others."""

    template: str | None = None
    """The wording; None: the recipe's."""
    num_shots: int = 0
    """Examples that stand before each question."""
    order: int = 0
    """Which of several orders they stand in; 0: as they were chosen."""
    num_passages: int = 0
    """Passages of documents that stand above each question."""


@runtime_checkable
class Strategy(Protocol):
    """What is put into the context. A file in `context/strategies/`.

    It may have beside `file_options` (ClassVar, tuple of names): options that name files or folders; a run keeps their whole paths.
    """

    @property
    def calibrate(self) -> bool:
        """Whether the probabilities of labels are divided by those after texts without content."""

    @property
    def validation_rows(self) -> int:
        """The most validation rows that a variant is tried on."""

    @property
    def pool_rows(self) -> int:
        """The most training rows that `choose` chooses among; 0: it needs none."""

    @property
    def embedding_model(self) -> str:
        """The model whose vectors of texts `choose` needs; empty: none."""

    @property
    def index(self) -> str:
        """The index of documents whose passages are looked up for each question; empty: none."""

    @property
    def documents(self) -> str:
        """What an index is made of where none is named: a folder, a file, or a source of texts; empty: nothing is looked up."""

    @property
    def embedded_by(self) -> str:
        """The encoder of texts and of that index."""

    def variants(self) -> list[Variant]:
        """What is tried; of those that are as good as each other the first is taken."""

    def choose(
        self,
        num_asked: int,
        labels: Sequence[str],
        pool_ph: Array | None,
        asked_qh: Array | None,
        rng: np.random.Generator,
        num_spare: int = 0,
    ) -> list[list[int]]:
        """The examples before each question, as places in the pool, the one that is read last first: a variant takes the first of them.

        Args:
            num_asked: q.
            labels: the label of each example of the pool; empty texts where they have none.
            pool_ph, asked_qh: vectors of length 1 of the examples and of the questions; None without an `embedding_model`.
            num_spare: so many more than the largest variant takes, as a question may be one of the examples itself, and is left out then.
        """
