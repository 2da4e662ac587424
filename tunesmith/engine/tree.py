"""Sequences laid out as a tree of segments: what several begin with stands in the stream once, and the others continue it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tunesmith.core.types import Segment

__all__ = ["LEAST_SHARED_TOKENS", "Tree", "num_shared"]

LEAST_SHARED_TOKENS = 8
"""A shorter common beginning is not worth a segment of its own."""


def num_shared(a: Sequence[int], b: Sequence[int]) -> int:
    """With how many equal tokens two sequences begin."""
    for place, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return place
    return min(len(a), len(b))


@dataclass(slots=True)
class Tree:
    """Segments in the order of the stream, and where in it each sequence stands."""

    sequences: Sequence[Sequence[int]]
    """In the order of their tokens, so that neighbours share the most; two may be equal."""
    tails: Sequence[Sequence[int]] | None = None
    """What follows each sequence and is shared with none, so that each has a segment of its own at its end."""
    least: int = LEAST_SHARED_TOKENS
    segments: list[Segment] = field(default_factory=list, init=False)
    places: list[list[int]] = field(default_factory=list, init=False)
    """Of each sequence, the place in the stream of each of its tokens, those of its tail too."""
    leaves: list[int] = field(default_factory=list, init=False)
    """Of each sequence, the segment that it ends in, or whose end it is."""
    _num_tokens: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.places = [[] for _ in self.sequences]
        self.leaves = [-1] * len(self.sequences)
        if self.sequences:
            self._lay(range(len(self.sequences)), 0, -1, [])

    def _add(self, tokens: Sequence[int], parent: int, before: list[int]) -> tuple[int, list[int]]:
        """A segment that continues `parent`. Returns: its number, and the places of all tokens up to its end."""
        self.segments.append(Segment(tuple(tokens), parent=parent))
        start, self._num_tokens = self._num_tokens, self._num_tokens + len(tokens)
        return len(self.segments) - 1, [*before, *range(start, self._num_tokens)]

    def _lay(self, members: range, depth: int, parent: int, before: list[int]) -> None:
        """Lay out what the members have from token `depth` on; `before` holds the places of the tokens up to there."""
        first = self.sequences[members[0]]
        shared = num_shared(first, self.sequences[members[-1]])  # in order: what the ends share, all share
        if len(members) > 1 and shared - depth >= self.least:
            parent, before = self._add(first[depth:shared], parent, before)
            depth = shared
        start = members.start
        while start < members.stop:
            first, end = self.sequences[start], start + 1
            while end < members.stop and num_shared(first, self.sequences[end]) - depth >= self.least:
                end += 1
            if end - start > 1 and end - start < len(members):
                self._lay(range(start, end), depth, parent, before)
            else:
                for index in range(start, end):
                    self._end(index, depth, parent, before)
            start = end

    def _end(self, index: int, depth: int, parent: int, before: list[int]) -> None:
        rest = [*self.sequences[index][depth:], *(self.tails[index] if self.tails else ())]
        # where nothing is left, all of it stands there already, as the beginning of another
        self.leaves[index], self.places[index] = self._add(rest, parent, before) if rest else (parent, before)
