"""Which examples say again what another one said: exactly, or nearly."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

import numpy as np

from tunesmith.core.types import Example, Labelled, Message, Origin
from tunesmith.data.minhash import MinHash, first_like, similarity
from tunesmith.data.split import content_key, duplicate_key

__all__ = ["Deduplication", "Repeat", "deduplicate", "full_text"]

Kind = Literal["exact", "near", "exact_other", "near_other"]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A row that says again what an earlier row said, or one of the other data."""

    origin: Origin
    like: Origin
    kind: Kind
    similarity: float
    """Of the two texts: 1 where they are equal, else as their signatures estimate it."""
    has_other_label: bool
    """Whether the two rows have different labels, of which at most one is right."""


@dataclass(frozen=True, slots=True)
class Deduplication:
    """Row by row, whether it stays; and those that do not."""

    stays: bytearray
    repeats: list[Repeat]

    def counts(self) -> dict[str, int]:
        """Repeats by kind, and how many of them have another label."""
        kinds: tuple[Kind, ...] = ("exact", "near", "exact_other", "near_other")
        found = {str(kind): sum(repeat.kind == kind for repeat in self.repeats) for kind in kinds}
        return {**found, "other_label": sum(repeat.has_other_label for repeat in self.repeats)}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a row: where it stands, and its label."""

    origin: Origin
    label: str | None


def deduplicate(examples: Iterable[Example], near: float | None, other: Iterable[Example] = ()) -> Deduplication:
    """Go through examples once; what is kept in memory does not grow with the length of their texts.

    Of rows that say the same, answer and all, the first stays. Of rows that are nearly the same, by the text of question and answer, the first
    stays. A row whose question stands in the other data goes, whatever its answer: a test row's question in the training data gives it away.

    Args:
        near: similarity from which texts are nearly the same, `LEAST_THRESHOLD` to 1; None: only exact repeats.
        other: data that is left as it is.
    """
    hashes, signatures = MinHash(), bytearray()
    others, rows, candidates = list[_Seen](), list[_Seen](), list[int]()
    by_content: dict[str, _Seen] = {}
    for example in other:
        others.append(_seen(example))
        by_content.setdefault(content_key(example), others[-1])
        if near is not None:
            signatures += hashes.signature(full_text(example)).tobytes()
    by_key: dict[bytes, _Seen] = {}
    stays, repeats = bytearray(), list[Repeat]()
    for example in examples:
        row = _seen(example)
        rows.append(row)
        elsewhere = by_content.get(content_key(example))
        first = elsewhere or by_key.setdefault(_digest(duplicate_key(example)), row)
        stays.append(first is row)
        if first is not row:
            repeats.append(_repeat(row, first, "exact_other" if elsewhere else "exact", 1.0))
        elif near is not None:
            signatures += hashes.signature(full_text(example)).tobytes()
            candidates.append(len(rows) - 1)
    if near is not None:
        table = np.frombuffer(signatures, dtype=np.uint16).reshape(-1, hashes.num_hashes)
        like = first_like(table, near, num_fixed=len(others))
        for place, index in enumerate(candidates, start=len(others)):
            if (at := int(like[place])) >= 0:
                first = others[at] if at < len(others) else rows[candidates[at - len(others)]]
                stays[index] = False
                kind: Kind = "near_other" if at < len(others) else "near"
                repeats.append(_repeat(rows[index], first, kind, round(float(similarity(table[at], table[place])), 3)))
    return Deduplication(stays, repeats)


def _digest(parts: tuple[str, ...]) -> bytes:
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).digest()


def full_text(example: Example) -> str:
    """All that an example says, question and answer, without its label."""
    return "\n".join(_texts(example))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Message):
        return [value.content]
    if isinstance(value, tuple | list):
        return [text for item in value for text in _texts(item)]
    if is_dataclass(value):
        return [
            text
            for field in fields(value)
            if field.name not in ("origin", "label", "before", "above")
            for text in _texts(getattr(value, field.name))
        ]
    return []


def _seen(example: Example) -> _Seen:
    return _Seen(example.origin, example.label if isinstance(example, Labelled) else None)


def _repeat(row: _Seen, first: _Seen, kind: Kind, alike: float) -> Repeat:
    return Repeat(row.origin, first.origin, kind, alike, row.label != first.label)
