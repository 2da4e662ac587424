"""The pieces that a conversation's text is tokenized in."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

__all__ = ["Closes", "Piece", "learned_stretches"]

Closes = Literal["no", "yes", "if open"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text, tokenized apart from its neighbours."""

    texts: tuple[str, ...]
    """Its stretches, tokenized apart too, none of them empty: within each, what spells a special token is one. Such a token is a stretch of its
    own where that makes no difference: what is between them many conversations have in common.
    """
    scored: bool = False
    closes: Closes = "no"
    """Whether an end-of-sequence token follows it: perhaps only where its last token is not a special one, which ends a turn."""


def learned_stretches(text: str, begin: int, content: str, mark: str, unlearned: Sequence[tuple[int, int]]) -> list[tuple[str, bool]]:
    """`text` in stretches, each with whether it is learned, of an answer whose content is learned in parts.

    Args:
        begin: where in the text the `content` stands, which has a `mark` (a character, or none) wherever it is to be cut.
        unlearned: the stretches of the content, without its marks, that are only read.
    """
    cuts = list(accumulate(map(len, content.split(mark)[:-1]))) if mark else []
    edges = [begin + edge + sum(cut < edge for cut in cuts) for stretch in unlearned for edge in stretch]
    bounds = list(pairwise([0, *edges, len(text)]))
    return [(text[start:end], number % 2 == 0) for number, (start, end) in enumerate(bounds) if start < end]
