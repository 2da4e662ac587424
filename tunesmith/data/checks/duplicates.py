"""Texts that stand twice, to the letter or nearly, in a split and across splits.

What the model is shown is compared: of a pair its source, of a conversation everything before its last answer. A question that stands in training
and in the test gives its answer away, however the answer is worded.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from tunesmith.core.types import Example
from tunesmith.data.checks.finding import MOST_EXAMPLES, Finding, Place, Severity, Splits, excerpt, key_of, place
from tunesmith.data.checks.texts import asked, full_text
from tunesmith.data.minhash import Array, MinHash, first_like, jaccard
from tunesmith.data.split import content_key

__all__ = ["NEAR", "find_duplicates", "find_near_duplicates"]

NEAR = 0.8
"""The Jaccard index of two texts' runs of five characters from which they count as nearly the same."""

Pair = tuple[Example, Example]
"""A row, and the row before it that it is like."""


def find_duplicates(splits: Splits) -> list[Finding]:
    """Warnings for rows that say again what a row before them in the split says; errors for texts that stand in two splits."""
    found = [copies for split, examples in splits.items() if (copies := _within(split, examples)) is not None]
    for one, other in combinations(splits, 2):
        judged = _first_by_key(splits[other])
        pairs = [(row, judged[key]) for row in splits[one] if (key := content_key(row)) in judged]
        if pairs:
            many = len(pairs) != 1
            text = (
                f"{len(pairs):,} row{'s' if many else ''} of {one} also stand{'' if many else 's'} in {other}: what {other} measures, {one} has "
                f"shown already. A cleaned copy (--fix) leaves {'them' if many else 'it'} out of {one}."
            )
            found.append(_finding("overlap", "error", f"{one}/{other}", one, pairs, text, removes=True))
    return found


def find_near_duplicates(splits: Splits, threshold: float = NEAR) -> list[Finding]:
    """Notes for texts that are nearly the same in a split, warnings where one is learned and the other judged; exact copies do not count.

    Args:
        threshold: the Jaccard index from which two texts are nearly the same, as MinHash estimates it.
    Raises: ValueError, for a threshold below `minhash.LEAST_THRESHOLD` or above 1.
    """
    minhash, found = MinHash(), list[Finding]()
    rows = {split: list(_first_by_key(examples).values()) for split, examples in splits.items()}
    signatures = {split: minhash.signatures(map(asked, examples)) for split, examples in rows.items()}
    for split, examples in rows.items():
        like = first_like(signatures[split], threshold)
        pairs = [(examples[at], examples[first]) for at, first in enumerate(like.tolist()) if first >= 0]
        if pairs:
            text = f"{_texts(pairs)} of {split} {_are(pairs)} nearly the same as another of it. tunesmith data dedupe keeps one of each."
            found.append(_finding("near_duplicates", "note", split, split, pairs, text))
    for one, other in combinations(rows, 2):
        pairs = _across(rows[one], signatures[one], rows[other], signatures[other], threshold)
        if pairs:
            text = (
                f"{_texts(pairs)} of {one} {_are(pairs)} nearly the same as one of {other}, so that its scores may be too good. "
                f"A cleaned copy (--fix) leaves {'them' if len(pairs) != 1 else 'it'} out of {one}."
            )
            found.append(_finding("near_overlap", "warning", f"{one}/{other}", one, pairs, text, removes=True))
    return found


def _across(learned: Sequence[Example], of_learned: Array, judged: Sequence[Example], of_judged: Array, threshold: float) -> list[Pair]:
    """Rows that are learned with the first judged row that each is like, but for those with the very same text."""
    same = {content_key(row) for row in judged}
    like = first_like(np.concatenate([of_judged, of_learned]), threshold, num_fixed=len(judged))[len(judged) :]
    return [
        (row, judged[first])
        for row, first in zip(learned, like.tolist(), strict=True)
        if 0 <= first < len(judged) and content_key(row) not in same
    ]


def _first_by_key(examples: Sequence[Example]) -> dict[str, Example]:
    first: dict[str, Example] = {}
    for example in examples:
        first.setdefault(content_key(example), example)
    return first


def _within(split: str, examples: Sequence[Example]) -> Finding | None:
    """Rows whose question, answer and label stand before them: where one of these differs it is another row, or a conflict."""
    first, pairs = dict[tuple[str, str, str], Example](), list[Pair]()
    for example in examples:
        key = (
            content_key(example),
            " ".join(full_text(example)[len(asked(example)) :].casefold().split()),
            str(getattr(example, "label", "")),
        )
        if key in first:
            pairs.append((example, first[key]))
        else:
            first[key] = example
    if not pairs:
        return None
    many = len(pairs) != 1
    text = (
        f"{len(pairs):,} row{'s' if many else ''} of {split} say{'' if many else 's'} again what a row before {'them' if many else 'it'} says: "
        f"{'they count' if many else 'it counts'} twice. A cleaned copy (--fix) keeps the first."
    )
    return _finding("duplicates", "warning", split, split, pairs, text, removes=True)


def _finding(check: str, severity: Severity, where: str, split: str, pairs: Sequence[Pair], text: str, *, removes: bool = False) -> Finding:
    examples = tuple(_place(split, row, other, is_near=check.startswith("near")) for row, other in pairs[:MOST_EXAMPLES])
    removed = frozenset(key_of(row) for row, _ in pairs) if removes else frozenset()
    return Finding(check, severity, where, len(pairs), text, examples, removed)


def _place(split: str, row: Example, other: Example, *, is_near: bool) -> Place:
    alike = f"{jaccard(asked(row), asked(other)):.2f} alike: " if is_near else ""
    return place(split, row, alike + excerpt(asked(row)), other)


def _texts(pairs: Sequence[Pair]) -> str:
    return f"{len(pairs):,} text{'s' if len(pairs) != 1 else ''}"


def _are(pairs: Sequence[Pair]) -> str:
    return "are" if len(pairs) != 1 else "is"
