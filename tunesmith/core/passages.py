"""What a store of passages is to those who index documents and ask questions of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

__all__ = ["Hit", "Passage", "PassageStore"]

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document."""

    document: str
    """The document's path below the folder that was indexed; with `#` and a number, where a file holds several."""
    start: int
    """Where it stands in the document's text, in characters."""
    end: int
    headings: tuple[str, ...]
    """Titles that it stands under, from the first to the nearest."""
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, and by how much: a cosine, or BM25's score. Comparable within one search alone."""

    passage: Passage
    score: float


@runtime_checkable
class PassageStore(Protocol):
    """Passages with their vectors, kept on disk. A file in `context/stores/`."""

    def __len__(self) -> int:
        """Number of passages."""

    def documents(self) -> Mapping[str, str]:
        """The documents that it holds passages of, and the hash that each was put in with."""

    def passages(self, document: str) -> list[Passage]:
        """Those of a document, in their order there."""

    def put(self, passages: Sequence[Passage], vectors_PH: Array, hashes: Mapping[str, str]) -> None:
        """Add the passages of whole documents, in place of those that it held of them, at once: a reader sees the old or the new.

        Args:
            vectors_PH: of each passage one of length 1.
            hashes: of each document that the passages are of.
        """

    def remove(self, documents: Sequence[str]) -> None:
        """Leave these documents out of every later search."""

    def tidy(self) -> None:
        """Call it after changes: searches get fast again, and what was replaced or removed is gone from the files too."""

    def nearest(self, vector_H: Array, count: int) -> list[Hit]:
        """The passages whose vectors are nearest to one of length 1, the nearest first, of equal ones by document and place."""

    def matching(self, words: str, count: int) -> list[Hit]:
        """The passages that a text's words stand in, the best first, by BM25, of equal ones by document and place."""
