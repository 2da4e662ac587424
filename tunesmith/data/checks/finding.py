"""What a check finds: how bad it is, how many rows it concerns, what it means, and the first of them by file and line."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tunesmith.core.types import Example
from tunesmith.data.checks.masking import masked
from tunesmith.data.checks.texts import asked

__all__ = ["MOST_EXAMPLES", "Finding", "Place", "RowKey", "Severity", "Splits", "excerpt", "finding", "finding_across", "key_of", "place"]

Severity = Literal["error", "warning", "note"]
Splits = Mapping[str, Sequence[Example]]
"""Examples by the name of their split, in the order train, validation, test."""
RowKey = tuple[str, int]
"""File and row."""

MOST_EXAMPLES = 5
_LONGEST_EXCERPT = 100
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class Place:
    """A row, as a person finds it."""

    split: str
    file: str
    row: int
    """The line of a line-oriented file, else the number of the record, from 1."""
    text: str
    """Its beginning, or what was found in it; what looks personal is masked."""
    other: str = ""
    """FILE:ROW of the row that it is like, where there is one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing, in one split or between two."""

    check: str
    severity: Severity
    """error: training or its scores would be wrong; warning: they may be; note: worth knowing."""
    split: str
    """A split, or two as `train/test`."""
    count: int
    """Rows that it concerns."""
    text: str
    """What was found, why it matters, and what to do, in a sentence or two."""
    examples: tuple[Place, ...] = ()
    """The first rows, at most `MOST_EXAMPLES`."""
    removes: frozenset[RowKey] = frozenset()
    """Rows that a cleaned copy leaves out."""
    repairs: frozenset[RowKey] = frozenset()
    """Rows whose text a cleaned copy mends."""


def excerpt(text: str) -> str:
    """The beginning of a text on one line, what looks personal in it masked, and what a terminal would obey spelt out."""
    line = _UNSEEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", " ".join(masked(text[: 4 * _LONGEST_EXCERPT]).split()))
    return line if len(line) <= _LONGEST_EXCERPT else line[: _LONGEST_EXCERPT - 1] + "…"


def key_of(example: Example) -> RowKey:
    """File and row of an example."""
    return example.origin.file, example.origin.row


def place(split: str, example: Example, text: str | None = None, other: Example | None = None) -> Place:
    """Where an example stands. `text`: what was found in it, masked already; None: its beginning."""
    shown = excerpt(asked(example)) if text is None else text
    return Place(
        split, example.origin.file, example.origin.row, shown, f"{other.origin.file}:{other.origin.row}" if other is not None else ""
    )


def finding(
    check: str,
    severity: Severity,
    split: str,
    rows: Sequence[Example],
    text: str,
    *,
    shown: Callable[[Example], str] | None = None,
    removes: bool = False,
    repairs: bool = False,
) -> Finding:
    """A finding about `rows` of one split.

    Args:
        shown: what to show of a row; None: its beginning.
        removes, repairs: whether a cleaned copy leaves the rows out, or mends them.
    """
    return finding_across(check, severity, [(split, row) for row in rows], text, shown=shown, removes=removes, repairs=repairs)


def finding_across(
    check: str,
    severity: Severity,
    rows: Sequence[tuple[str, Example]],
    text: str,
    *,
    shown: Callable[[Example], str] | None = None,
    removes: bool = False,
    repairs: bool = False,
) -> Finding:
    """A finding about rows of any split, each with the name of its own. Arguments as `finding` has them."""
    examples = tuple(place(split, row, shown(row) if shown else None) for split, row in rows[:MOST_EXAMPLES])
    keys = frozenset(key_of(row) for _, row in rows)
    where = "/".join(dict.fromkeys(split for split, _ in rows))
    return Finding(check, severity, where, len(rows), text, examples, keys if removes else frozenset(), keys if repairs else frozenset())
