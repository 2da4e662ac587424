"""Whether a question that was written is new: like no seed, no row of a test set, and no row before it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from tunesmith.core.types import Chat, Choice, Example, SpanQuestion
from tunesmith.data.minhash import MinHash, similarity
from tunesmith.data.split import content_parts

__all__ = ["Like", "Novelty", "question_of"]

Array = np.ndarray[Any, np.dtype[Any]]
Like = Literal["like_seed", "like_other", "like_row"]
_BLOCK = 65_536


class Novelty:
    """The questions that are known. 512 bytes each; their texts are not kept."""

    def __init__(self, near: float, seeds: Iterable[str], others: Iterable[str] = ()) -> None:
        """Read what is known from the start.

        Args:
            near: similarity from which two questions count as one, as `jaccard` of their shingles, estimated.
            seeds, others: questions of the seeds, and of data such as test sets that must not be met.
        """
        self._near, self._hashes = near, MinHash()
        self._fixed: dict[Like, Array] = {"like_seed": self._hashes.signatures(seeds), "like_other": self._hashes.signatures(others)}
        self._rows = list[Array]()

    def take(self, question: str) -> Like | None:
        """What a question is like; None where it is new: then it is known from now on."""
        signature = self._hashes.signature(question)
        for kind, known in self._fixed.items():
            if self._has(known, signature):
                return kind
        if self._rows and self._has(np.stack(self._rows), signature):
            return "like_row"
        self._rows.append(signature)
        return None

    def _has(self, known: Array, signature: Array) -> bool:
        blocks = (known[start : start + _BLOCK] for start in range(0, len(known), _BLOCK))
        return any(bool((similarity(block, signature) >= self._near).any()) for block in blocks)


def question_of(example: Example) -> str:
    """What an example asks, without its answer: what two examples have in common that are one question.

    Contexts, choices and system messages do not count: many examples share them.
    """
    if isinstance(example, Chat):
        example = replace(example, messages=tuple(message for message in example.messages if message.role != "system"))
    if isinstance(example, SpanQuestion | Choice):
        return example.question
    return "\n".join(content_parts(example))
