"""Retrieval: passages of documents above the question, looked up for each by meaning and by words.

How many passages is chosen on validation rows. The documents may change: an index that is brought up to date answers from what it holds then, and nothing is trained anew.

Source: Lewis et al. (2020), "Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks", https://arxiv.org/abs/2005.11401; Ram et al. (2023), "In-Context
Retrieval-Augmented Language Models", https://arxiv.org/abs/2302.00083.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tunesmith.core.context import Array, Variant

__all__ = ["Retrieval"]


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """Passages of an index above each question."""

    index: str = ""
    """The folder of the index, as `tunesmith index` makes it. This or `documents` must be there."""
    documents: str = ""
    """What is looked up where no index is named: a folder, a file, or a source of texts such as `python-reference`. Its index is made at the first time and kept in the cache."""
    embedded_by: str = "minilm-l6"
    """The encoder of that index."""
    passages: tuple[int, ...] = (1, 3, 5)
    """Numbers of passages to try on validation rows; a single one is taken as it is."""
    templates: tuple[str, ...] = ()
    """Wordings to try on validation rows, as `data.template` has them; none: that of the recipe alone."""
    calibrate: bool = False
    """Of labels, divide each one's probability by what the model gives it after texts without content: `N/A`, `[MASK]` and an empty one."""
    validation_rows: int = 200
    """The most validation rows that each way is tried on."""

    file_options: ClassVar[tuple[str, ...]] = ("index", "documents", "embedded_by")
    embedding_model: ClassVar[str] = ""
    pool_rows: ClassVar[int] = 0

    def __post_init__(self) -> None:
        """Raises: ValueError, for an option out of its range."""
        if bool(self.index) == bool(self.documents):
            found = "both. Leave one out." if self.index else "neither. Set context.documents=FOLDER."
            raise ValueError(f"expected index, the folder of one that `tunesmith index` made, or documents, found {found}")
        if not self.passages or min(self.passages) < 0:
            raise ValueError(f"passages: expected numbers of at least 0, found {list(self.passages)}.")
        if self.validation_rows < 1:
            raise ValueError(f"validation_rows: expected at least 1, found {self.validation_rows}.")

    def variants(self) -> list[Variant]:
        """Every number of passages in every wording: those with the fewest come first."""
        return [Variant(template, num_passages=k) for k in sorted(set(self.passages)) for template in self.templates or (None,)]

    def choose(
        self,
        num_asked: int,
        labels: Sequence[str],
        pool_ph: Array | None,
        asked_qh: Array | None,
        rng: np.random.Generator,
        num_spare: int = 0,
    ) -> list[list[int]]:
        """No examples for any question."""
        return [[]] * num_asked
